#include <magpie/combinators/event.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>

#include <cstdint>

namespace magpie {

event::~event() {
    MAGPIE_ASSERT(waiters_.empty());
}

void event::set() noexcept {
    (void)word_.lock();
    detail::woken_waiters woken;
    while (detail::listed_waiter* const each = waiters_.pop_front()) {
        woken.add(*each);
    }
    word_.unlock(set_bit);  // from here on the event may be gone; the waiters are not, until they are woken
    woken.wake();
}

void event::clear() noexcept {
    (void)word_.lock();
    word_.unlock(0);
}

std::size_t event::waiting() const noexcept {
    std::uint64_t const seen = word_.lock();
    std::size_t count = 0;
    for (auto* each = waiters_.front(); each != nullptr; each = waiters_.next(each)) {
        ++count;
    }
    word_.unlock(seen);
    return count;
}

namespace detail {

bool event_awaiter::wait() {
    std::uint64_t const seen = event_->word_.lock();
    if ((seen & event::set_bit) != 0) {
        event_->word_.unlock(seen);
        return false;
    }
    if (!context->suspend(*this)) {
        event_->word_.unlock(seen);
        cancelled_ = true;
        return false;
    }
    event_->waiters_.push_back(this);
    event_->word_.unlock(seen);
    return true;
}

bool event_awaiter::try_cancel() noexcept {
    std::uint64_t const seen = event_->word_.lock();
    bool const waits = wait_list::linked(this);
    if (waits) {
        event_->waiters_.erase(this);
    }
    event_->word_.unlock(seen);
    return waits;
}

void event_awaiter::await_resume() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
}

} // namespace detail
} // namespace magpie
