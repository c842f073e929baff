#include <magpie/runtime/future.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>

#include <mutex>

namespace magpie::detail {

void future_state_base::release() noexcept {
    // acq_rel: pairs with the other releases; the last one sees everything the others did to the block.
    if (references_.fetch_sub(1, mo_acq_rel) != 1) {
        return;
    }
    if (!seen_.load(mo_relaxed)) {
        if (std::exception_ptr failed = error()) {
            report_unhandled(nullptr, std::move(failed), "a promise was set to an error that nobody awaits");
        }
    }
    destroy();
}

bool future_state_base::claim() noexcept {
    phase expected = phase::pending;
    inject_point();
    // acquire: pairs with unclaim(), which leaves the result empty
    return phase_.compare_exchange_strong(expected, phase::claimed, mo_acquire, mo_relaxed);
}

void future_state_base::unclaim() noexcept {
    phase_.store(phase::pending, mo_release);  // pairs with claim()
}

void future_state_base::publish() noexcept {
    intrusive_queue<work_item> waiters;  // work_item::next is free while a task waits
    intrusive_queue<thread_gate> threads;
    {
        std::lock_guard const lock(lock_);
        phase_.store(phase::done, mo_release);  // pairs with done(): whoever sees it sees the result
        while (future_waiter* const each = waiters_.pop_front()) {
            waiters.push_back(each);
        }
        threads.append(std::move(threads_));
    }
    while (work_item* const each = waiters.pop_front()) {
        static_cast<future_waiter*>(each)->wake();
    }
    while (thread_gate* const each = threads.pop_front()) {
        each->open();
    }
}

future_state_base::wait_result future_state_base::wait(future_waiter& by) noexcept {
    std::lock_guard const lock(lock_);
    if (done()) {
        return wait_result::done;
    }
    if (!by.context->suspend(by)) {
        return wait_result::refused;
    }
    waiters_.push_back(&by);
    return wait_result::waiting;
}

bool future_state_base::leave(future_waiter& by) noexcept {
    std::lock_guard const lock(lock_);
    if (!waiters_.linked(&by)) {
        return false;
    }
    waiters_.erase(&by);
    return true;
}

void future_state_base::block() {
    if (current_worker() != nullptr) {
        throw_future_usage("blocking_wait() of a future was called on a worker, which would stop every task of it; "
                           "co_await the future");
    }
    thread_gate gate;
    {
        std::lock_guard const lock(lock_);
        if (done()) {
            return;
        }
        threads_.push_back(&gate);
    }
    gate.pass();
}

// ---------------------------------------------------------------------------------------------- waiting in a task

bool future_waiter::wait() noexcept {
    switch (state_->wait(*this)) {
    case future_state_base::wait_result::waiting: return true;
    case future_state_base::wait_result::done: return false;
    case future_state_base::wait_result::refused: cancelled_ = true; return false;
    }
    return false;
}

bool future_waiter::try_cancel() noexcept {
    return state_->leave(*this);
}

void future_waiter::check() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    state_->look();
}

void throw_future_usage(char const* what) {
    throw usage_error(what);
}

} // namespace magpie::detail
