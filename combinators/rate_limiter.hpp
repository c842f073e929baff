#pragma once

#include <magpie/combinators/detail/token_bucket.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>

namespace magpie {

// So many operations a second: a token bucket that is full at first and holds at most `burst`. After an idle time up to
// `burst` operations pass at once, then one every 1/per_second. Strictly first come, first served, also when more than
// one token is wanted: nobody overtakes who waits for many.
// Acquire inside each operation, not around all of them: `co_await limiter.acquire()` is the first line of what
// gather() or batch() runs for each item.
// acquire() in tasks of one runtime; try_acquire() from any thread, under the simulated clock only from its tasks.
// Nobody may wait for it when it is destroyed.
class rate_limiter {
public:
    // Throws std::invalid_argument unless per_second is positive and finite, and burst at least 1.
    explicit rate_limiter(double per_second, std::size_t burst = 1);
    rate_limiter(rate_limiter const&) = delete;
    rate_limiter& operator=(rate_limiter const&) = delete;

    // Takes n tokens, waiting for them if need be. Cancelling takes none, and those behind move up. Throws
    // std::invalid_argument if n > burst(): they would never be there.
    task<> acquire(std::size_t n = 1);
    // False, and none is taken, if there are too few, or if somebody waits.
    bool try_acquire(std::size_t n = 1);

    std::size_t burst() const noexcept { return bucket_.burst(); }
    double per_second() const noexcept { return per_second_; }
    // How many tasks wait. Takes as long as there are.
    std::size_t waiting() const noexcept;

private:
    task<> take_in_turn(std::size_t n);
    void check(std::size_t n) const;

    double per_second_;
    mutex turn_;                   // who holds it is the next to be served; also guards the bucket
    detail::token_bucket bucket_;
};

} // namespace magpie
