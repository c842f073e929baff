#pragma once

#include <magpie/runtime/detail/atomic.hpp>

namespace magpie::detail {

// How to wait for a lock that is held for a few loads and stores: twice as long each time, up to a microsecond or two,
// without a look at the lock in between. While one thread waits so, the others go through many short sections with the
// lock's cache line, and what it guards, at hand; that costs them a tenth of passing it to and fro at each section.
// A holder that is still not gone was preempted, and on a machine with few cores it may need this one.
// `Thread` is what does the waiting: a test's counts.
template <class Thread>
class basic_backoff {
public:
    static constexpr unsigned longest = 5;  // 2^5 pauses

    // backoff(longest) waits long from the first time: for a word that another thread changes again and again, where
    // each look takes the cache line away from it.
    explicit basic_backoff(unsigned first_round = 0) noexcept : round_(first_round) {}

    void wait() noexcept {
        for (unsigned i = 0; i < 1U << round_; ++i) {
            Thread::relax();
        }
        if (round_ < longest) {
            ++round_;
        } else if (++long_waits_ % before_yield == 0) {
            Thread::yield();
        }
    }

private:
    static constexpr unsigned before_yield = 4;
    unsigned round_;
    unsigned long_waits_ = 0;
};

struct this_thread {
    static void relax() noexcept { cpu_relax(); }
    static void yield() noexcept { yield_thread(); }
};

using backoff = basic_backoff<this_thread>;

}  // namespace magpie::detail
