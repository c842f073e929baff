#include <magpie/runtime/this_task.hpp>

#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

namespace magpie {

namespace detail {
namespace {

// A request to a task that waits for this one may not have been passed on yet: its join is still open (fork_join.hpp).
void receive_requests() noexcept {
    current_worker()->close_joins();
}

task_context& required_context() {
    task_context* const task = current_context();
    if (task == nullptr) {
        throw usage_error("a this_task function was called outside a task");
    }
    return *task;
}

} // namespace

void checkpoint_awaiter::await_resume() const {
    task_context& task = required_context();
    receive_requests();
    deliver_if_due(task);
}

bool sleep_awaiter::wait() {
    if (kind_ != kind::yield) {
        time_point const when = kind_ == kind::span ? deadline_after(span_) : time_point(span_);
        if (arm_and_suspend(*this, when, *this)) {
            return true;
        }
        cancelled_ = true;
        return false;
    }
    if (context->shield_depth == 0 && context->request_pending()) {
        return false;
    }
    schedule_yield(*this);
    return true;
}

time_point deadline_after(duration d) noexcept {
    time_point const start = now();
    if (d > duration::zero() && start > time_point::max() - d) {
        return time_point::max();
    }
    if (d < duration::zero() && start < time_point::min() - d) {
        return time_point::min();
    }
    return start + d;
}

} // namespace detail

time_point now() noexcept {
    detail::worker const* const here = detail::current_worker();
    return here == nullptr ? std::chrono::steady_clock::now() : here->shared().now();
}

bool stop_token::stop_requested() const noexcept {
    if (task_ == nullptr) {
        return false;
    }
    if (detail::current_context() == task_) {
        detail::receive_requests();
    }
    return task_->cancel_count() > 0;
}

namespace this_task {

task_id id() {
    return detail::id_of(detail::required_context());
}

std::string name() {
    return detail::name_of(detail::required_context());
}

unsigned worker() {
    detail::required_context();
    detail::worker const& here = *detail::current_worker();
    return here.index() < here.shared().size() ? here.index() : 0;  // the spare one
}

void cancel() {
    detail::required_context().request_cancel(detail::request_origin::scope);
}

unsigned cancelling() {
    auto const& task = detail::required_context();
    detail::receive_requests();
    return task.cancel_count();
}

unsigned uncancel() {
    auto& task = detail::required_context();
    detail::receive_requests();
    return task.uncancel();
}

magpie::stop_token stop_token() {
    return magpie::stop_token(detail::required_context());
}

} // namespace this_task
} // namespace magpie
