// What the simulated clock is told of threads that bring something.

#include <magpie/runtime/outside.hpp>

#include <magpie/combinators/event.hpp>
#include <magpie/runtime/future.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

TEST_CASE("an outside_source keeps the simulated clock from passing, and the program from being called deadlocked") {
    auto const body = []() -> task<> {
        event ready;
        promise<int> number;
        auto given = number.get_future();
        bool slept = false;
        auto const sleeps = [&]() -> task<> {
            co_await sleep(1h);
            slept = true;
        };
        auto sleeper = spawn(sleeps());
        time_point const start = now();
        std::thread other([&, source = outside_source()] {
            std::this_thread::yield();
            number.set_value(7);
            ready.set();
        });
        co_await ready.wait();
        CHECK(co_await std::move(given) == 7);
        CHECK(now() == start);
        CHECK_FALSE(slept);
        other.join();
        co_await std::move(sleeper);
        CHECK(now() - start == 1h);
    };
    for (unsigned i = 0; i < rounds(400); ++i) {
        run(body(), simulated());
    }
}

TEST_CASE("when the last outside_source is gone and has brought nothing, a deadlock is one again") {
    auto const body = [](bool gone) -> task<> {
        event never;
        outside_source one;
        outside_source moved(std::move(one));
        std::thread other([source = std::move(moved)]() mutable {
            std::optional<outside_source> mine(std::move(source));
            mine.reset();
        });
        other.join();
        if (gone) {
            co_await never.wait();
        }
    };
    CHECK_THROWS_AS(run(body(true), simulated()), deadlock_error);
    run(body(false), simulated());
    run(body(false), threads(2));
}

TEST_CASE("an outside_source outlives its runtime, and cannot be made outside a task") {
    std::optional<outside_source> kept;
    auto const body = [&]() -> task<> {
        kept.emplace();
        co_return;
    };
    run(body(), simulated());
    kept.reset();
    CHECK_THROWS_AS(kept.emplace(), usage_error);
}

}  // namespace
