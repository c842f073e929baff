#include <magpie/runtime/detail/backoff.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using magpie::detail::backoff;
using magpie::detail::basic_backoff;

// Remembers what a thread that waits does.
struct recorder {
    static void relax() noexcept { ++relaxed; }
    static void yield() noexcept { ++yielded; }
    static inline unsigned relaxed = 0;
    static inline unsigned yielded = 0;
};

struct seen {
    unsigned relaxed = 0;
    bool yielded = false;
    bool operator==(seen const&) const = default;
};

std::vector<seen> waits(unsigned count, basic_backoff<recorder> waiting) {
    std::vector<seen> all;
    for (unsigned i = 0; i < count; ++i) {
        recorder::relaxed = recorder::yielded = 0;
        waiting.wait();
        all.push_back({recorder::relaxed, recorder::yielded == 1});
    }
    return all;
}

TEST_CASE("backoff: each wait is twice as long as the last, up to 32 pauses; then every fourth gives the core away") {
    std::vector<seen> expected = {{1}, {2}, {4}, {8}, {16}};
    for (unsigned i = 1; i <= 12; ++i) {
        expected.push_back({32, i % 4 == 0});
    }
    CHECK(waits(17, basic_backoff<recorder>()) == expected);
}

TEST_CASE("backoff: one that waits long from the first time") {
    std::vector<seen> expected;
    for (unsigned i = 1; i <= 8; ++i) {
        expected.push_back({32, i % 4 == 0});
    }
    CHECK(waits(8, basic_backoff<recorder>(basic_backoff<recorder>::longest)) == expected);
}

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
