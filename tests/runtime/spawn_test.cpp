#include <magpie/runtime/spawn.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

using trace = std::vector<std::string>;

task<> note(trace& into, std::string what) {
    into.push_back(std::move(what));
    co_return;
}

task<> bump(std::atomic<int>& counter) {
    counter.fetch_add(1);
    co_return;
}

task<int> value(int v) {
    co_return v;
}

task<> keep(token) {
    co_return;
}

// ------------------------------------------------------------------------------------------------ order

TEST_CASE("TASK-03, TASK-05: spawn runs nothing inline; what was spawned runs in order when the spawner suspends") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto a = spawn(note(seen, "a"));
        auto b = spawn(note(seen, "b"));
        seen.emplace_back("spawner");
        co_await sleep(1ns);
        seen.emplace_back("after the sleep");
        co_await std::move(a);
        co_await std::move(b);
    };
    run(body(), simulated());
    CHECK(seen == trace{"spawner", "a", "b", "after the sleep"});
}

TEST_CASE("LOOP-01: a hundred thousand spawned tasks run in order, each once") {
    constexpr unsigned n = rounds(100'000);
    std::vector<unsigned> order;
    auto const append = [](std::vector<unsigned>& to, unsigned i) -> task<> {
        to.push_back(i);
        co_return;
    };
    auto const body = [&]() -> task<> {
        for (unsigned i = 0; i < n; ++i) {
            spawn_detached(append, std::ref(order), i);
        }
        co_await this_task::yield();
    };
    run(body(), simulated());
    REQUIRE(order.size() == n);
    bool in_order = true;
    for (unsigned i = 0; i < n; ++i) {
        in_order = in_order && order[i] == i;
    }
    CHECK(in_order);
}

TEST_CASE("TASK-04: a task starts although its spawner never suspends, if another worker is free") {
    auto const body = []() -> task<bool> {
        std::atomic<bool> ran{false};
        auto const mark = [](std::atomic<bool>& flag) -> task<unsigned> {
            flag = true;
            co_return this_task::worker();
        };
        for (unsigned i = 0; i < rounds(2000); ++i) {
            ran = false;
            unsigned const here = this_task::worker();
            auto h = spawn(mark, std::ref(ran));
            until([&] { return ran.load(); });
            unsigned const there = co_await std::move(h);
            if (there == here) {
                co_return false;
            }
        }
        co_return true;
    };
    CHECK(run(body(), threads(2)));
    CHECK(run(body(), threads(4)));
}

// ------------------------------------------------------------------------------------------------ the forms

TEST_CASE("spawn: an awaitable, a function, a function with arguments, each with and without options") {
    trace names;
    auto const body = [&]() -> task<int> {
        spawn_options const named{.name = "given"};
        auto const lambda = [] { return value(4); };
        auto const named_value = []() -> task<std::string> { co_return this_task::name(); };
        auto a = spawn(value(1));
        auto b = spawn(value(2), named);
        auto c = spawn(lambda);
        auto d = spawn(lambda, named);
        auto e = spawn(&value, 16);
        auto f = spawn(named, &value, 32);
        auto g = spawn(named, named_value);
        for (join_handle<int> const* each : {&b, &d, &f}) {
            names.push_back(each->name());
        }
        int sum = 0;
        sum += co_await std::move(a);
        sum += co_await std::move(b);
        sum += co_await std::move(c);
        sum += co_await std::move(d);
        sum += co_await std::move(e);
        sum += co_await std::move(f);
        names.push_back(co_await std::move(g));
        co_return sum;
    };
    CHECK(run(body(), simulated()) == 1 + 2 + 4 + 4 + 16 + 32);
    CHECK(names == trace{"given", "given", "given", "given"});
}

TEST_CASE("spawn_detached: the same forms; the runtime owns the tasks") {
    std::atomic<int> counter{0};
    auto const body = [&]() -> task<> {
        auto const lambda = [&] { return bump(counter); };
        spawn_detached(bump(counter));
        spawn_detached(bump(counter), {.name = "n"});
        spawn_detached(lambda);
        spawn_detached(lambda, {.name = "n"});
        spawn_detached(&bump, std::ref(counter));
        spawn_detached(spawn_options{.name = "n"}, &bump, std::ref(counter));
        co_await this_task::yield();
    };
    run(body(), simulated());
    CHECK(counter == 6);
}

TEST_CASE("spawn: the name is copied; a task without one is named after its id") {
    auto const body = []() -> task<trace> {
        trace seen;
        join_handle<int> h;
        {
            std::string text(100, 'x');
            h = spawn(value(1), {.name = text});
            text.assign(100, 'y');
        }
        auto g = spawn(value(1));
        seen.push_back(h.name());
        seen.push_back(g.name() == "task " + std::to_string(g.id()) ? "after its id" : g.name());
        co_return seen;
    };
    CHECK(run(body(), simulated()) == trace{std::string(100, 'x'), "after its id"});
}

TEST_CASE("spawn outside a task: usage_error, and the awaitable is destroyed un-started") {
    tally count;
    CHECK_THROWS_AS((void)spawn(keep(token(count))), usage_error);
    CHECK_THROWS_AS(spawn_detached(&keep, token(count)), usage_error);
    CHECK(count.alive == 0);
}

TEST_CASE("TASK-06: spawned tasks progress while the spawner awaits anything") {
    std::atomic<int> counter{0};
    auto const body = [&]() -> task<int> {
        auto const runner = [](std::atomic<int>& steps) -> task<> {
            for (int i = 0; i < 100; ++i) {
                ++steps;
                co_await this_task::yield();
            }
        };
        auto h = spawn(runner, std::ref(counter));
        co_await sleep(1ns);
        int const during = counter;
        co_await std::move(h);
        co_return during;
    };
    CHECK(run(body(), simulated()) == 100);
}

// ------------------------------------------------------------------------------------------------ where tasks run

TEST_CASE("pinned: the task never leaves the worker where it began") {
    for (unsigned const workers : {1U, 2U, 3U, 4U, 8U}) {
        CAPTURE(workers);
        std::atomic<int> strays{0};
        std::atomic<int> travels{0};
        auto const stays = [](std::atomic<int>& wrong, bool naps) -> task<> {
            unsigned const home = this_task::worker();
            for (int i = 0; i < 50; ++i) {
                if (naps) {
                    co_await sleep(1us);
                } else {
                    co_await this_task::yield();
                }
                wrong += this_task::worker() != home ? 1 : 0;
            }
        };
        auto const body = [&]() -> task<> {
            std::vector<join_handle<void>> all;
            for (int i = 0; i < 20; ++i) {
                all.push_back(spawn(spawn_options{.pinned = true}, stays, std::ref(strays), i % 2 == 0));
                all.push_back(spawn(stays, std::ref(travels), false));  // the others may, and make the workers steal
            }
            for (auto& each : all) {
                co_await std::move(each);
            }
        };
        run(body(), threads(workers));
        CHECK(strays == 0);
    }
}

}  // namespace
