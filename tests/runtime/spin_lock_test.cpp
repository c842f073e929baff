#include <magpie/runtime/detail/spin_lock.hpp>

#include <doctest/doctest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace {

using magpie::detail::spin_lock;

TEST_CASE("spin_lock: is one byte, so that a node can afford one") {
    CHECK(sizeof(spin_lock) == 1);
}

TEST_CASE("spin_lock: try_lock succeeds if and only if it is free") {
    spin_lock lock;
    CHECK(lock.try_lock());
    CHECK_FALSE(lock.try_lock());
    lock.unlock();
    {
        std::lock_guard const guard(lock);
        CHECK_FALSE(lock.try_lock());
    }
    CHECK(lock.try_lock());
}

// More threads than cores, so that holders are preempted and waiters must give their core away.
TEST_CASE("spin_lock: stampede: one holder at a time, and each sees what the last one wrote") {
    constexpr int threads = 6;
    constexpr int rounds = 20'000;
    spin_lock lock;
    magpie::detail::atomic<int> holders{0};
    int overlaps = 0;
    long total = 0;
    {
        std::vector<std::jthread> crowd;
        for (int t = 0; t < threads; ++t) {
            crowd.emplace_back([&] {
                for (int i = 0; i < rounds; ++i) {
                    std::lock_guard const guard(lock);
                    overlaps += holders.fetch_add(1, magpie::detail::mo_relaxed) == 0 ? 0 : 1;
                    ++total;
                    holders.fetch_sub(1, magpie::detail::mo_relaxed);
                }
            });
        }
    }
    CHECK(overlaps == 0);
    CHECK(total == long{threads} * rounds);
}

TEST_CASE("spin_lock: waits for a holder that is not running") {
    spin_lock lock;
    int value = 0;
    lock.lock();
    std::jthread waiter([&] {
        std::lock_guard const guard(lock);
        CHECK(value == 1);
        value = 2;
    });
    for (int i = 0; i < 1000; ++i) {
        magpie::detail::yield_thread();
    }
    value = 1;
    lock.unlock();
    waiter.join();
    CHECK(value == 2);
}

}  // namespace
