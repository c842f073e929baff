#include <magpie/runtime/sleep.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <ratio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

using trace = std::vector<std::string>;

template <class T>
concept can_sleep = requires(T t) { magpie::sleep(t); };
static_assert(!can_sleep<int> && !can_sleep<long> && !can_sleep<unsigned char>, "a bare number has no unit");
static_assert(can_sleep<std::chrono::hours> && can_sleep<std::chrono::duration<double>>);

// How long a sleep takes on the simulated clock.
template <class D>
duration slept(D d) {
    auto const body = [&]() -> task<duration> {
        time_point const before = now();
        co_await sleep(d);
        co_return now() - before;
    };
    return run(body(), simulated());
}

TEST_CASE("sleep: takes exactly as long as it says, in any unit; fractions are rounded up") {
    CHECK(slept(1ns) == 1ns);
    CHECK(slept(1500ms) == 1500ms);
    CHECK(slept(3h) == 3h);
    CHECK(slept(std::chrono::duration<double>(0.25)) == 250ms);
    CHECK(slept(std::chrono::duration<double, std::nano>(0.1)) == 1ns);
    CHECK(slept(std::chrono::duration<float, std::milli>(2.0F)) == 2ms);
    CHECK(slept(std::chrono::duration<long long, std::pico>(1)) == 1ns);
    CHECK(slept(0s) == 0ns);
    CHECK(slept(-5s) == 0ns);
}

TEST_CASE("LOOP-07: NaN is an error; what the clock cannot count sleeps until cancelled, or is due at once") {
    using seconds = std::chrono::duration<double>;
    CHECK_THROWS_AS((void)sleep(seconds(std::numeric_limits<double>::quiet_NaN())), std::invalid_argument);
    CHECK(slept(seconds(-std::numeric_limits<double>::infinity())) == 0ns);
    CHECK(slept(std::chrono::hours::min()) == 0ns);
    CHECK(slept(duration::min()) == 0ns);
    auto const body = []() -> task<bool> {
        std::vector<join_handle<void>> endless;
        endless.push_back(spawn(sleep(std::chrono::hours::max())));
        endless.push_back(spawn(sleep(duration::max())));
        endless.push_back(spawn(sleep(seconds(std::numeric_limits<double>::infinity()))));
        endless.push_back(spawn(sleep(seconds(1e300))));
        endless.push_back(spawn(sleep_until(time_point::max())));
        co_await sleep(std::chrono::years(100));
        bool all_sleep = true;
        for (auto& each : endless) {
            all_sleep = all_sleep && !each.done() && each.cancel();
        }
        co_await sleep(1ns);
        for (auto& each : endless) {
            all_sleep = all_sleep && each.cancelled();
        }
        co_return all_sleep;
    };
    CHECK(run(body(), simulated()));
}

task<> says(trace& into, char const* what, time_point when) {
    co_await sleep_until(when);
    into.emplace_back(what);
}

TEST_CASE("LOOP-03: deadlines in the past are due at once, in the order of the deadlines") {
    trace seen;
    auto const body = [&]() -> task<> {
        co_await sleep(1h);
        time_point const start = now();
        spawn_detached(says(seen, "last", start));
        spawn_detached(says(seen, "second", start - 1s));
        spawn_detached(says(seen, "first", start - 2s));
        spawn_detached(says(seen, "third", start - 1ns));
        co_await sleep(1ns);
        CHECK(now() - start == 1ns);
    };
    run(body(), simulated());
    CHECK(seen == trace{"first", "second", "third", "last"});
}

TEST_CASE("LOOP-04, D21: equal deadlines are served in the order of the sleeps") {
    std::vector<int> order;
    auto const body = [&]() -> task<> {
        time_point const when = now() + 1s;
        auto const numbered = [](std::vector<int>& into, int i, time_point at) -> task<> {
            co_await sleep_until(at);
            into.push_back(i);
        };
        for (int i = 0; i < 1000; ++i) {
            spawn_detached(numbered, std::ref(order), i, when);
        }
        co_await sleep(2s);
    };
    run(body(), simulated());
    REQUIRE(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("LOOP-02: never early, on the real clock, on several workers") {
    runtime rt(threads(3));
    std::atomic<int> early{0};
    auto const naps = [](std::atomic<int>& wrong, int length) -> task<> {
        for (int i = 0; i < 20; ++i) {
            auto const until_then = now() + std::chrono::microseconds(length);
            co_await sleep(std::chrono::microseconds(length));
            wrong += now() < until_then ? 1 : 0;
            auto const when = now() + std::chrono::nanoseconds(length * 500 + 1);
            co_await sleep_until(when);
            wrong += now() < when ? 1 : 0;
        }
    };
    std::vector<join_handle<void>> all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(rt.spawn(naps, std::ref(early), i));
    }
    for (auto& each : all) {
        each.blocking_wait();
    }
    CHECK(early == 0);
}

TEST_CASE("LOOP-15: a hundred thousand sleeping tasks wake in the order of their deadlines") {
    unsigned const n = rounds(100'000);
    std::vector<unsigned> order;
    order.reserve(n);
    auto const body = [&]() -> task<> {
        auto const naps = [](std::vector<unsigned>& into, unsigned length) -> task<> {
            co_await sleep(std::chrono::microseconds(length));
            into.push_back(length);
        };
        for (unsigned i = 0; i < n; ++i) {
            spawn_detached(naps, std::ref(order), 1 + (i * 7919) % n);
        }
        co_await sleep(1h);
    };
    run(body(), simulated());
    REQUIRE(order.size() == n);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("LOOP-15: the same on the real clock: all wake, on every number of workers") {
    for (unsigned const workers : {1U, 2U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        unsigned const n = rounds(20'000);
        std::atomic<unsigned> woken{0};
        auto const naps = [](std::atomic<unsigned>& count, unsigned length) -> task<> {
            co_await sleep(std::chrono::nanoseconds(length * 50));
            ++count;
        };
        auto const body = [&]() -> task<> {
            for (unsigned i = 0; i < n; ++i) {
                spawn_detached(naps, std::ref(woken), i % 40'000);
            }
            while (woken != n) {
                co_await sleep(100us);
            }
        };
        rt.block_on(body());
        CHECK(woken == n);
        CHECK(rt.snapshot().totals().timers == 0);
    }
}

TEST_CASE("CAN-22, LOOP-08: a cancelled sleep leaves no timer and no memory behind, whoever cancels it") {
    runtime rt(threads(2));
    auto const storm = [](unsigned n) -> task<std::int64_t> {
        std::int64_t highest = 0;
        for (unsigned i = 0; i < n; ++i) {
            auto h = spawn(sleep(1h));
            if (i % 3 != 0) {
                co_await this_task::yield();
            }
            h.cancel();
            if (i % 128 == 0) {
                co_await this_task::yield();
                highest = std::max(highest, live_bytes());
            }
        }
        co_return highest;
    };
    (void)rt.block_on(storm(5000));
    std::int64_t const before = live_bytes();
    std::int64_t const highest = rt.block_on(storm(rounds(300'000)));
    CHECK(highest - before < 2 << 20);
    until([&] { return rt.snapshot().tasks_live == 0; });
    CHECK(rt.snapshot().totals().timers == 0);
}

TEST_CASE("CAN-22: sleeps on one worker cancelled from others while their timers fire") {
    runtime rt(threads(4));
    unsigned const n = rounds(20'000);
    std::vector<join_handle<void>> all;
    std::atomic<unsigned> ended{0};
    auto const naps = [](std::atomic<unsigned>& count, unsigned length) -> task<> {
        struct at_exit {
            std::atomic<unsigned>& to;
            explicit at_exit(std::atomic<unsigned>& t) : to(t) {}
            ~at_exit() { ++to; }
        } const guard(count);
        co_await sleep(std::chrono::microseconds(length));
    };
    for (unsigned i = 0; i < n; ++i) {
        all.push_back(rt.spawn(naps, std::ref(ended), i % 50));
    }
    auto const cancels = [](std::vector<join_handle<void>>& in, unsigned from) -> task<> {
        for (std::size_t i = from; i < in.size(); i += 3) {
            in[i].cancel();
            if (i % 16 == 0) {
                co_await this_task::yield();
            }
        }
    };
    std::vector<join_handle<void>> cancellers;
    for (unsigned i = 0; i < 3; ++i) {
        cancellers.push_back(rt.spawn(cancels, std::ref(all), i));
    }
    for (auto& each : cancellers) {
        each.blocking_wait();
    }
    for (auto& each : all) {
        each.blocking_wait();
    }
    CHECK(ended + rt.snapshot().tasks_destroyed_unstarted == n);
    CHECK(rt.snapshot().totals().timers == 0);
}

TEST_CASE("LOOP-09: a few tiny sleeps take a few turns, not many") {
    runtime rt(threads(1));
    auto const body = []() -> task<> {
        for (double const length : {1e-1, 1e-3, 1e-6, 1e-9, 1e-10}) {
            co_await sleep(std::chrono::duration<double>(length / 100));
        }
    };
    std::uint64_t const before = rt.snapshot().totals().tasks_resumed;
    rt.block_on(body());
    CHECK(rt.snapshot().totals().tasks_resumed - before <= 20);
}

}  // namespace
