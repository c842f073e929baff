#include <magpie/combinators/mutex.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/backoff.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <algorithm>
#include <cstdint>

namespace magpie {

namespace {

constexpr unsigned fewest_looks = 4;  // each about a microsecond

} // namespace

mutex::~mutex() {
    MAGPIE_ASSERT(waiters_.empty());
}

void mutex::unlock() {
    if (!locked()) {
        throw usage_error("unlock() was called on a mutex that is not locked");
    }
    unlock_held();
}

// Somebody waits, or the lock bit was set: the mutex goes to the first in the list, if it is still there.
void mutex::hand_on() noexcept {
    (void)word_.lock();
    auto* const next = static_cast<detail::mutex_waiter*>(waiters_.pop_front());
    if (next == nullptr) {
        word_.unlock(unlocked);
        return;
    }
    next->owned_ = true;
    word_.unlock(owner_word(next->context) | (waiters_.empty() ? 0 : waiting_bit));
    next->wake();
}

// Once a task waits, tasks that come again and again go on waiting for each other: each turn is then a hand-over, which
// costs several times as much as to lock and unlock. While the owner runs on another worker it will most likely unlock
// within less time than a hand-over takes; so it is worth a while before anybody queues up. The looks are far apart
// (backoff.hpp): meanwhile the other worker has the cache line for itself. A mutex that is held for longer is looked at
// less often the next time.
bool mutex::own_soon(detail::task_context const* task) noexcept {
    detail::backoff waiting(detail::backoff::longest);
    unsigned const patience = patience_.load(detail::mo_relaxed);
    std::uint64_t paused = unlocked;
    for (unsigned look = 0; look < patience; ++look) {
        std::uint64_t seen = unlocked;  // no look before: the owner would be faster by the time of the change
        if (word_.try_change(seen, owner_word(task))) {
            if (patience < most_looks) {
                patience_.store(static_cast<std::uint8_t>(patience * 2), detail::mo_relaxed);
            }
            return true;
        }
        if ((seen & waiting_bit) != 0) {
            return false;
        }
        if (seen != unlocked && !detail::runs_elsewhere(owner_in(seen))) {
            if (seen == paused) {
                return false;
            }
            paused = seen;  // or it has unlocked meanwhile, and goes on to something else
        }
        waiting.wait();
    }
    patience_.store(static_cast<std::uint8_t>(std::max(patience / 4, fewest_looks)), detail::mo_relaxed);
    return false;
}

void mutex::forget_owner() noexcept {
    std::uint64_t const seen = word_.lock();
    word_.unlock(unknown_owner | (seen & waiting_bit));
}

bool mutex::own_or_link(detail::mutex_waiter& by) noexcept {
    std::uint64_t const seen = word_.lock();
    if ((seen & ~waiting_bit) == unlocked) {
        by.owned_ = true;
        word_.unlock(owner_word(by.context));
        return true;
    }
    waiters_.push_back(&by);
    word_.unlock(seen | waiting_bit);
    return false;
}

std::size_t mutex::waiting() const noexcept {
    std::uint64_t const seen = word_.lock();
    std::size_t count = 0;
    for (auto* each = waiters_.front(); each != nullptr; each = waiters_.next(each)) {
        ++count;
    }
    word_.unlock(seen);
    return count;
}

// ---------------------------------------------------------------------------------------------- mutex_guard

mutex_guard& mutex_guard::operator=(mutex_guard&& other) noexcept {
    if (this != &other) {
        if (mutex_ != nullptr) {
            mutex_->unlock_held();
        }
        mutex_ = other.hand_over();
    }
    return *this;
}

void mutex_guard::unlock() {
    if (mutex_ == nullptr) {
        throw usage_error("unlock() was called on a guard that holds no mutex");
    }
    std::exchange(mutex_, nullptr)->unlock_held();
}

mutex* mutex_guard::hand_over() noexcept {
    if (mutex_ != nullptr) {
        mutex_->forget_owner();
    }
    return std::exchange(mutex_, nullptr);
}

// ---------------------------------------------------------------------------------------------- waiting

namespace detail {

bool mutex_awaiter::wait() {
    if (mutex_->own_soon(context)) {
        owned_ = true;
        return false;
    }
    std::uint64_t const seen = mutex_->word_.lock();
    if ((seen & ~mutex::waiting_bit) == mutex::unlocked) {
        owned_ = true;
        mutex_->word_.unlock(mutex::owner_word(context));
        return false;
    }
    if ((seen & ~mutex::waiting_bit) == mutex::owner_word(context)) {
        mutex_->word_.unlock(seen);
        throw usage_error("a task locks a mutex that it holds already: it would wait for itself for ever");
    }
    if (!context->suspend(*this)) {
        mutex_->word_.unlock(seen);
        cancelled_ = true;
        return false;
    }
    mutex_->waiters_.push_back(this);
    mutex_->word_.unlock(seen | mutex::waiting_bit);
    return true;
}

bool mutex_awaiter::try_cancel() noexcept {
    std::uint64_t const seen = mutex_->word_.lock();
    bool const waits = wait_list::linked(this);
    if (waits) {
        mutex_->waiters_.erase(this);
    }
    mutex_->word_.unlock(mutex_->waiters_.empty() ? seen & ~mutex::waiting_bit : seen);
    return waits;
}

mutex_guard mutex_awaiter::await_resume() {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    MAGPIE_ASSERT(owned_);
    return mutex_guard(mutex_);
}

} // namespace detail
} // namespace magpie
