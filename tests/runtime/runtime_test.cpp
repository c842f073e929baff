#include <magpie/runtime/runtime.hpp>

#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<runtime> && !std::is_move_constructible_v<runtime>);

task<int> value(int v) {
    co_await this_task::yield();
    co_return v;
}

task<int> fails() {
    co_await this_task::yield();
    throw std::runtime_error("main failed");
}

task<> keep(token) {
    co_return;
}

struct immovable {
    immovable() = default;
    immovable(immovable const&) = delete;
    immovable& operator=(immovable const&) = delete;
};

task<immovable&> refers(immovable& x) {
    co_return x;
}

// ------------------------------------------------------------------------------------------------ run, block_on

TEST_CASE("RUN-01: run gives main's value, or throws its exception, on the calling thread") {
    for (bool const virtual_time : {true, false}) {
        config const c = virtual_time ? simulated() : threads(2);
        CHECK(run(value(7), c) == 7);
        CHECK_THROWS_WITH_AS(run(fails(), c), "main failed", std::runtime_error);
        auto const owned = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
        CHECK(*run(owned(), c) == 3);
    }
}

TEST_CASE("RUN-01: a main task that returns a reference gives that reference") {
    immovable x;
    static_assert(std::is_same_v<decltype(run(refers(x), simulated())), immovable&>);
    CHECK(&run(refers(x), simulated()) == &x);
    runtime rt(threads(1));
    static_assert(std::is_same_v<decltype(rt.block_on(refers(x))), immovable&>);
    CHECK(&rt.block_on(refers(x)) == &x);
    auto h = rt.spawn(refers(x));
    CHECK(&rt.block_on(std::move(h)) == &x);
}

TEST_CASE("RUN-03: run, block_on, shutdown and blocking_wait on a worker: usage_error; the awaitable is destroyed un-run") {
    for (bool const virtual_time : {true, false}) {
        runtime rt(virtual_time ? simulated() : threads(2));
        runtime other(simulated());
        tally count;
        auto const body = [&]() -> task<> {
            auto h = spawn(value(1));
            CHECK_THROWS_AS(run(keep(token(count)), simulated()), usage_error);
            CHECK_THROWS_AS(rt.block_on(keep(token(count))), usage_error);
            CHECK_THROWS_AS(other.block_on(keep(token(count))), usage_error);
            CHECK_THROWS_AS(h.blocking_wait(), usage_error);
            CHECK_THROWS_AS(rt.shutdown(0s), usage_error);
            co_await h;
            CHECK_THROWS_AS(h.blocking_wait(), usage_error);
        };
        rt.block_on(body());
        CHECK(count.alive == 0);
    }
}

TEST_CASE("RUN-08: block_on as often as one likes") {
    runtime rt(threads(2));
    int sum = 0;
    for (unsigned i = 0; i < rounds(5000); ++i) {
        sum += rt.block_on(value(1));
    }
    CHECK(sum == static_cast<int>(rounds(5000)));
    CHECK_THROWS_WITH(rt.block_on(fails()), "main failed");
    CHECK(rt.block_on(value(2)) == 2);
}

TEST_CASE("RUN-08: block_on from many foreign threads at once") {
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        runtime rt(virtual_time ? simulated() : threads(2));
        std::atomic<unsigned> sum{0};
        std::vector<std::thread> callers;
        for (unsigned t = 0; t < 8; ++t) {
            callers.emplace_back([&, t] {
                for (unsigned i = 0; i < rounds(500); ++i) {
                    sum += static_cast<unsigned>(rt.block_on(value(static_cast<int>(t))));
                }
            });
        }
        for (auto& each : callers) {
            each.join();
        }
        CHECK(sum == rounds(500) * (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7));
    }
}

TEST_CASE("run: a main task that was cancelled throws child_cancelled") {
    auto const cancels_itself = []() -> task<> {
        this_task::cancel();
        co_await this_task::yield();
    };
    CHECK_THROWS_AS(run(cancels_itself(), simulated()), child_cancelled);
    CHECK_THROWS_AS(run(cancels_itself(), threads(1)), child_cancelled);
}

TEST_CASE("run: any number of runs, one after the other and at once") {
    std::atomic<int> sum{0};
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t) {
        callers.emplace_back([&] {
            for (unsigned i = 0; i < rounds(50) + 1; ++i) {
                sum += run(value(1), threads(1 + i % 3));
            }
        });
    }
    for (auto& each : callers) {
        each.join();
    }
    CHECK(sum == static_cast<int>(4 * (rounds(50) + 1)));
}

// ------------------------------------------------------------------------------------------------ leftovers

task<> leftover(std::atomic<int>& begun, std::atomic<int>& cleaned) {
    bool cancelled = false;
    ++begun;
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        cancelled = true;
    }
    for (int i = 0; i < 3; ++i) {
        co_await this_task::yield();
    }
    ++cleaned;
    if (cancelled) {
        throw task_cancelled();
    }
}

TEST_CASE("RUN-04: leftovers are cancelled and awaited before run returns; the result is main's") {
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        std::atomic<int> begun{0};
        std::atomic<int> cleaned{0};
        auto const body = [&]() -> task<int> {
            for (int i = 0; i < 10; ++i) {
                spawn_detached(leftover(begun, cleaned));
            }
            while (begun != 10) {
                co_await sleep(1ms);
            }
            co_return 4;
        };
        CHECK(run(body(), virtual_time ? simulated() : threads(3)) == 4);
        CHECK(cleaned == 10);
    }
}

TEST_CASE("RUN-06: main's exception wins over what leftovers do") {
    event_log log;
    config c = simulated();
    c.hooks.on_unhandled = log.listener();
    auto const body = []() -> task<> {
        auto const angry = []() -> task<> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
            }
            throw std::logic_error("leftover");
        };
        spawn_detached(angry);
        co_await this_task::yield();
        throw std::runtime_error("main");
    };
    CHECK_THROWS_WITH(run(body(), c), "main");
    CHECK(log.size() == 1);
}

TEST_CASE("RUN-04: what a leftover spawns while the program ends is refused with usage_error, and destroyed un-started") {
    event_log log;
    config c = simulated();
    c.hooks.on_unhandled = log.listener();
    tally count;
    bool refused = false;
    auto const body = [&]() -> task<> {
        auto const spawns_late = [](tally& t, bool& flag) -> task<> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                try {
                    spawn_detached(keep(token(t)));
                } catch (usage_error const&) {
                    flag = true;
                }
            }
        };
        spawn_detached(spawns_late, std::ref(count), std::ref(refused));
        co_await this_task::yield();
    };
    run(body(), c);
    CHECK(refused);
    CHECK(count.alive == 0);
    CHECK(log.size() == 0);
}

// ------------------------------------------------------------------------------------------------ shutdown

TEST_CASE("LOOP-17, RUN-08: shutdown: cancels, waits, and refuses everything from then on; twice is once") {
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        std::atomic<int> begun{0};
        std::atomic<int> cleaned{0};
        tally count;
        runtime rt(virtual_time ? simulated() : threads(2));
        std::vector<join_handle<void>> all;
        for (int i = 0; i < 10; ++i) {
            all.push_back(rt.spawn(leftover(begun, cleaned)));
        }
        while (begun != 10) {
            rt.block_on(sleep(1ms));
        }
        shutdown_report const report = rt.shutdown(10s);
        CHECK(static_cast<bool>(report));
        CHECK(cleaned == 10);
        for (auto& each : all) {
            CHECK(each.cancelled());
        }
        CHECK_THROWS_AS((void)rt.spawn(keep(token(count))), usage_error);
        CHECK_THROWS_AS(rt.block_on(keep(token(count))), usage_error);
        CHECK_THROWS_AS(rt.post([kept = token(count)] { (void)kept; }), usage_error);
        CHECK(count.alive == 0);
        CHECK(static_cast<bool>(rt.shutdown(0s)));
    }
}

TEST_CASE("DBG-07: shutdown: who has not ended in time is in the report, and goes on") {
    std::atomic<bool> release{false};
    std::atomic<int> held{0};
    runtime rt(threads(2));
    auto const ignores = [](std::atomic<int>& holds, std::atomic<bool>& let_go) -> task<int> {
        ++holds;  // before its first step it would be cancelled
        while (!let_go) {
            try {
                co_await this_task::yield();
            } catch (task_cancelled const&) {
            }
        }
        co_return 9;
    };
    auto stubborn = rt.spawn(ignores, std::ref(held), std::ref(release));
    auto named = rt.spawn({.name = "the other"}, ignores, std::ref(held), std::ref(release));
    auto polite = rt.spawn(sleep(1h));
    until([&] { return held == 2; });
    shutdown_report const report = rt.shutdown(1ms);
    CHECK_FALSE(static_cast<bool>(report));
    auto const survivor = [&](task_id id) {
        auto const at = std::ranges::find(report.survivors, id, &task_info::id);
        return at == report.survivors.end() ? task_info{} : *at;
    };
    CHECK(survivor(stubborn.id()).cancelling == 1);
    CHECK(survivor(named.id()).name == "the other");
    release = true;
    CHECK(static_cast<bool>(rt.shutdown(100s)));
    CHECK(stubborn.result().value() == 9);
    CHECK(polite.cancelled());
}

TEST_CASE("TH-10: spawning against shutdown: a task runs to its end or is refused and destroyed; none is forgotten") {
    for (unsigned r = 0; r < rounds(200); ++r) {
        tally count;
        std::atomic<unsigned> refused{0};
        std::atomic<unsigned> begun{0};
        {
            runtime rt(threads(2));
            std::vector<std::thread> spawners;
            for (int t = 0; t < 3; ++t) {
                spawners.emplace_back([&] {
                    for (;;) {
                        try {
                            rt.spawn(keep(token(count))).detach();
                            ++begun;
                        } catch (usage_error const&) {
                            ++refused;
                            return;
                        }
                    }
                });
            }
            until([&] { return begun > r % 50; });
            CHECK(static_cast<bool>(rt.shutdown(100s)));
            for (auto& each : spawners) {
                each.join();
            }
            CHECK(rt.tasks().empty());
        }
        REQUIRE(count.alive == 0);
        REQUIRE(refused == 3);
    }
}

TEST_CASE("~runtime: right after spawning, with tasks in every state") {
    tally count;
    auto const holds = [](token kept, unsigned kind) -> task<> {
        token const local(kept);
        if (kind % 3 == 0) {
            co_await sleep(1h);
        } else if (kind % 3 == 1) {
            co_await this_task::yield();
        }
    };
    for (unsigned r = 0; r < rounds(300); ++r) {
        runtime rt(threads(1 + r % 4));
        for (unsigned i = 0; i < r % 40; ++i) {
            rt.spawn(holds, token(count), i).detach();
        }
    }
    CHECK(count.alive == 0);
}

// ------------------------------------------------------------------------------------------------ configuration

TEST_CASE("runtime: has the workers it was asked for; a bad config is refused") {
    for (unsigned const workers : {1U, 2U, 3U, 8U}) {
        runtime rt(threads(workers));
        CHECK(rt.workers() == workers);
        CHECK(rt.settings().workers == workers);
        CHECK(rt.snapshot().workers.size() == workers);
        CHECK(rt.block_on(value(1)) == 1);
    }
    CHECK_THROWS_AS(runtime(threads(100'000)), config_error);
    config c = simulated();
    c.workers = 2;
    CHECK_THROWS_AS(runtime{c}, config_error);
}

TEST_CASE("runtime: every setting of the scheduler's knobs runs programs") {
    auto const program = []() -> task<int> {
        int sum = 0;
        std::vector<join_handle<int>> all;
        for (int i = 0; i < 300; ++i) {
            all.push_back(spawn(value(i), {.pinned = i % 3 == 0}));
        }
        for (auto& each : all) {
            sum += co_await std::move(each);
        }
        co_return sum;
    };
    auto const with = [](auto change) {
        config c = threads(3);
        change(c);
        return c;
    };
    for (config const& c : {with([](config& s) { s.steal = false; }), with([](config& s) { s.spin = 0ns; }),
                            with([](config& s) { s.event_interval = 1; }), with([](config& s) { s.frame_cache = 0; }),
                            with([](config& s) { s.pin = true; }), with([](config& s) { s.event_interval = 10'000; }),
                            with([](config& s) { s.rescue = false; }), with([](config& s) { s.seed = 99; })}) {
        CHECK(run(program(), c) == 300 * 299 / 2);
    }
}

}  // namespace
