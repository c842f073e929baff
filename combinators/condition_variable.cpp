#include <magpie/combinators/condition_variable.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/errors.hpp>

#include <limits>

namespace magpie {

condition_variable::~condition_variable() {
    MAGPIE_ASSERT(waiters_.empty());
}

void condition_variable::notify(std::size_t n) noexcept {
    notify(n, detail::condition_awaiter::notice::chosen);
}

void condition_variable::notify_all() noexcept {
    notify(std::numeric_limits<std::size_t>::max(), detail::condition_awaiter::notice::everybody);
}

void condition_variable::notify(std::size_t most, detail::condition_awaiter::notice why) noexcept {
    detail::intrusive_queue<detail::work_item> notified;  // work_item::next is free while a task waits
    (void)word_.lock();
    for (; most != 0 && !waiters_.empty(); --most) {
        auto* const each = static_cast<detail::condition_awaiter*>(waiters_.pop_front());
        each->listed_ = false;
        each->notice_ = why;
        notified.push_back(each);
    }
    word_.unlock(0);
    while (detail::work_item* const next = notified.pop_front()) {
        static_cast<detail::condition_awaiter*>(next)->go_for_mutex();
    }
}

std::size_t condition_variable::waiting() const noexcept {
    (void)word_.lock();
    std::size_t count = 0;
    for (auto* each = waiters_.front(); each != nullptr; each = waiters_.next(each)) {
        ++count;
    }
    word_.unlock(0);
    return count;
}

namespace detail {

mutex& mutex_held_by(mutex_guard const& guard) {
    if (!guard) {
        throw usage_error("wait() of a condition variable was called with a guard that holds no mutex");
    }
    return *guard.owner();
}

bool condition_awaiter::wait() noexcept {
    (void)at_->word_.lock();
    if (!context->suspend(*this)) {
        at_->word_.unlock(0);
        cancelled_ = true;
        return false;
    }
    at_->waiters_.push_back(this);
    listed_ = true;
    // Nobody resumes the task before the mutex is let go; then `this` may be gone.
    mutex* const held = mutex_;
    at_->word_.unlock(0);
    held->unlock_held();
    return true;
}

// Off the list, and not under its lock.
void condition_awaiter::go_for_mutex() noexcept {
    if (mutex_->own_or_link(*this)) {
        wake();
    }
}

bool condition_awaiter::try_cancel() noexcept {
    (void)at_->word_.lock();
    bool const listed = std::exchange(listed_, false);
    if (listed) {
        at_->waiters_.erase(this);
    }
    at_->word_.unlock(0);
    if (listed) {
        interrupted_ = true;  // in no list: nobody else looks
        return mutex_->own_or_link(*this);
    }
    std::uint64_t const seen = mutex_->word_.lock();
    interrupted_ = interrupted_ || !owned_;
    mutex_->word_.unlock(seen);
    return false;
}

void condition_awaiter::await_resume() const {
    if (!was_cancelled() && !interrupted_) {
        MAGPIE_ASSERT(owned_);
        return;
    }
    if (notice_ == notice::chosen) {
        at_->notify_one();
    }
    deliver_cancellation(*context);
}

} // namespace detail
} // namespace magpie
