#include <magpie/runtime/join_handle.hpp>

#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

namespace magpie::detail {

void throw_usage(char const* what) {
    throw usage_error(what);
}

void wait_from_outside(spawned_base& task) {
    if (current_worker() != nullptr) {
        throw_usage("a blocking wait was called on a worker, which would stop every task of it; co_await the handle");
    }
    if (task.ended()) {
        return;  // the runtime may be gone
    }
    outside_wait wait;
    task.home->shared().wait_for(task, wait, nullptr);
}

std::string join_waiter::describe() const {
    return name_of(*task_);
}

bool join_waiter::wait() {
    for (task_context const* each = context; each != nullptr; each = each->parent) {
        if (each == task_) [[unlikely]] {
            throw_usage(each == context ? "a task awaits itself: it would never end"
                                        : "a task awaits one that waits for it: neither would ever end");
        }
    }
    if (policy_ == on_request::leave) {
        switch (task_->watch_and_suspend(*this, *this)) {
        case spawned_base::watch_result::watching: return true;
        case spawned_base::watch_result::ended: return false;
        case spawned_base::watch_result::refused: cancelled_ = true; return false;
        }
    }
    context->suspend_forwarding(*this);
    if (task_->watch_unless(*this, left_)) {
        return true;
    }
    cancelled_ = !task_->ended();      // then it was refused: the request went round in a circle
    return !context->complete(*this);  // not: a canceller is inside, and will queue us
}

bool join_waiter::try_cancel() noexcept {
    if (policy_ == on_request::leave) {
        return task_->unwatch(*this);
    }
    task_->request_cancel(request_origin::external);
    return false;
}

bool join_waiter::leave_circle() noexcept {
    return policy_ == on_request::cancel_task && task_->leave(*this, left_);
}

void join_waiter::check() {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    if (task_->ended_cancelled()) {
        // Null: the task had ended before the await, which then delivers nothing.
        if (context != nullptr && policy_ == on_request::cancel_task) {
            deliver_if_due(*context);
        }
        throw child_cancelled("the awaited task \"" + name_of(*task_) + "\" was cancelled");
    }
    task_->look();
}

} // namespace magpie::detail
