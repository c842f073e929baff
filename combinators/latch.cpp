#include <magpie/combinators/latch.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <stdexcept>
#include <utility>

namespace magpie {

std::uint64_t latch::first_word(std::ptrdiff_t n) {
    if (n < 0) {
        throw std::invalid_argument("a latch cannot count down from, or by, a negative number");
    }
    return static_cast<std::uint64_t>(n) << count_shift;
}

latch::latch(std::ptrdiff_t n) : word_(first_word(n)) {}

latch::~latch() {
    MAGPIE_ASSERT(waiters_.empty());
    MAGPIE_ASSERT(threads_.empty());
}

void latch::count_down(std::ptrdiff_t n) {
    std::uint64_t const less = first_word(n);
    std::uint64_t seen = word_.load() & ~detail::locked_word::lock_bit;
    while (less < seen || less == 0) {
        if (less == 0 || word_.try_change(seen, seen - less)) {
            return;
        }
    }
    seen = word_.lock();  // nobody has changed it upwards since
    require_left(less, seen);
    open_and_unlock();
}

// Under the lock, which it lets go if it throws.
void latch::require_left(std::uint64_t less, std::uint64_t seen) {
    if (less > seen) {
        word_.unlock(seen);
        throw usage_error("a latch was counted down by more than was left of its count");
    }
}

void latch::open_and_unlock() noexcept {
    detail::woken_waiters woken;
    while (detail::listed_waiter* const each = waiters_.pop_front()) {
        woken.add(*each);
    }
    detail::intrusive_queue<detail::thread_gate> threads(std::move(threads_));
    word_.unlock(0);  // from here on the latch may be gone; who waits is not, until it is told
    woken.wake();
    while (detail::thread_gate* const each = threads.pop_front()) {
        each->open();
    }
}

void latch::blocking_wait() {
    if (detail::current_worker() != nullptr) {
        throw usage_error("blocking_wait() of a latch was called on a worker, which would stop every task of it; "
                          "co_await wait()");
    }
    detail::thread_gate gate;
    std::uint64_t const seen = word_.lock();
    if (seen != 0) {
        threads_.push_back(&gate);
    }
    word_.unlock(seen);
    if (seen != 0) {
        gate.pass();
    }
}

namespace detail {

bool latch_awaiter::await_ready() const noexcept {
    return arrivals_ == 0 && at_->try_wait();
}

// Counting down and joining the list are one step: in between another waiter might destroy the latch.
bool latch_awaiter::wait() {
    std::uint64_t const less = latch::first_word(arrivals_);
    std::uint64_t const seen = at_->word_.lock();
    at_->require_left(less, seen);
    if (seen == less) {
        at_->open_and_unlock();
        return false;
    }
    bool const waits = context->suspend(*this);
    if (waits) {
        at_->waiters_.push_back(this);
    }
    cancelled_ = !waits;
    at_->word_.unlock(seen - less);
    return waits;
}

bool latch_awaiter::try_cancel() noexcept {
    std::uint64_t const seen = at_->word_.lock();
    bool const waits = wait_list::linked(this);
    if (waits) {
        at_->waiters_.erase(this);
    }
    at_->word_.unlock(seen);
    return waits;
}

void latch_awaiter::await_resume() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
}

} // namespace detail
} // namespace magpie
