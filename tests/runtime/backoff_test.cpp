#include <magpie/runtime/detail/backoff.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using magpie::detail::backoff;

// More threads than CPUs: whoever has the turn may be waiting for the CPU of one that waits for it.
TEST_CASE("threads that wait for their turn all get it, again and again, also where they share CPUs") {
    constexpr unsigned threads = 8;
    constexpr unsigned turns = 2000;
    std::atomic<unsigned> turn{0};
    unsigned taken = 0;
    {
        std::vector<std::jthread> all;
        for (unsigned me = 0; me < threads; ++me) {
            all.emplace_back([&, me] {
                for (unsigned next = me; next < turns; next += threads) {
                    backoff waiting;
                    while (turn.load(std::memory_order_acquire) != next) {
                        waiting.wait();
                    }
                    ++taken;
                    turn.store(next + 1, std::memory_order_release);
                }
            });
        }
    }
    CHECK(taken == turns);
}

}  // namespace
