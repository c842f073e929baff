#include <magpie/combinators/barrier.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <stdexcept>

namespace magpie {

namespace {

std::size_t checked_parties(std::ptrdiff_t n) {
    if (n < 1) {
        throw std::invalid_argument("a barrier is for one task at least");
    }
    return static_cast<std::size_t>(n);
}

} // namespace

barrier::barrier(std::ptrdiff_t n) : word_(0), parties_(checked_parties(n)) {}

barrier::~barrier() {
    MAGPIE_ASSERT(waiters_.empty());
}

void barrier::end_round(detail::barrier_awaiter::end how, std::uint64_t then) noexcept {
    detail::woken_waiters woken;
    std::size_t index = 0;
    while (auto* const each = static_cast<detail::barrier_awaiter*>(waiters_.pop_front())) {
        each->how_ = how;
        each->index_ = index++;
        woken.add(*each);
    }
    waiting_ = 0;
    word_.unlock(then);  // from here on the barrier may be gone; the waiters are not, until they are woken
    woken.wake();
}

void barrier::abort() noexcept {
    (void)word_.lock();
    end_round(detail::barrier_awaiter::end::broken, broken_bit);
}

void barrier::reset() noexcept {
    (void)word_.lock();
    end_round(detail::barrier_awaiter::end::broken, 0);
}

std::size_t barrier::waiting() const noexcept {
    std::uint64_t const seen = word_.lock();
    std::size_t const count = waiting_;
    word_.unlock(seen);
    return count;
}

namespace detail {

bool barrier_awaiter::arrive() noexcept {
    std::uint64_t const seen = at_->word_.lock();
    if ((seen & barrier::broken_bit) != 0) {
        how_ = end::broken;
        at_->word_.unlock(seen);
        return false;
    }
    if (at_->waiting_ + 1 == at_->parties_) {
        index_ = at_->waiting_;
        how_ = end::passed;
        at_->end_round(end::passed, 0);
        if (budget_exhausted()) {  // a barrier for one never suspends
            schedule_yield(*this);
            return true;
        }
        return false;
    }
    if (!context->suspend(*this)) {
        at_->word_.unlock(seen);
        cancelled_ = true;
        return false;
    }
    at_->waiters_.push_back(this);
    ++at_->waiting_;
    at_->word_.unlock(seen);
    return true;
}

bool barrier_awaiter::try_cancel() noexcept {
    std::uint64_t const seen = at_->word_.lock();
    bool const waits = wait_list::linked(this);
    if (waits) {
        at_->waiters_.erase(this);
        --at_->waiting_;
    }
    at_->word_.unlock(seen);
    return waits;
}

std::size_t barrier_awaiter::await_resume() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    if (how_ == end::broken) {
        throw broken_barrier();
    }
    return index_;
}

} // namespace detail
} // namespace magpie
