#include <magpie/runtime/task_info.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> nothing() {
    co_return;
}

task_info const* find(std::vector<task_info> const& in, std::string_view name) {
    auto const at = std::ranges::find(in, name, &task_info::name);
    return at == in.end() ? nullptr : &*at;
}

task<> awaits(join_handle<void> h) {
    co_await std::move(h);
}

TEST_CASE(
    "TASK-18, DBG-03, DBG-05, BEY-20: rt.tasks(): id, name, state, age, place, requests, and what is waited for") {
    runtime rt(simulated());
    unsigned line = 0;
    auto const body = [&]() -> task<> {
        auto sleeper = spawn(sleep(1h), {.name = "sleeper"});
        auto const sleeper_id = sleeper.id();
        auto waiter = spawn(awaits(std::move(sleeper)), {.name = "waiter"});
        auto ended = spawn(nothing(), {.name = "ended"});
        co_await sleep(5s);
        line = std::source_location::current().line() + 1;
        auto fresh = spawn(nothing(), {.name = "fresh"});
        auto asked = spawn(nothing(), {.name = "asked"});
        asked.cancel();
        asked.cancel();
        auto const seen = rt.tasks();
        REQUIRE(seen.size() == 5);
        CHECK(std::ranges::is_sorted(seen, {}, &task_info::id));
        CHECK(find(seen, "ended") == nullptr);

        task_info const& main = *find(seen, "main");
        CHECK((main.state == task_state::running && main.awaits.empty() && main.age == 5s));

        task_info const& s = *find(seen, "sleeper");
        CHECK(s.id == sleeper_id);
        CHECK((s.state == task_state::suspended && s.age == 5s && s.cancelling == 0));
        CHECK(s.awaits == "sleep");

        task_info const& w = *find(seen, "waiter");
        CHECK(w.state == task_state::suspended);
        CHECK(w.awaits.find("sleeper") != std::string::npos);

        task_info const& f = *find(seen, "fresh");
        CHECK((f.state == task_state::queued && f.age == 0s && f.awaits.empty()));
        CHECK(f.where.line() == line);
        CHECK(std::string_view(f.where.file_name()).ends_with("task_info_test.cpp"));
        CHECK(find(seen, "asked")->cancelling == 2);
        co_await this_task::yield();
        CHECK(rt.tasks().size() == 3);
        waiter.cancel();
    };
    rt.block_on(body());
    rt.block_on(sleep(1ns));
    CHECK(rt.tasks().empty());
}

TEST_CASE("TASK-20: rt.tasks() from several threads while tasks are made and end") {
    runtime rt(threads(3));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> lookers;
    for (int t = 0; t < 2; ++t) {
        lookers.emplace_back([&] {
            while (!stop) {
                for (auto const& each : rt.tasks()) {
                    wrong += each.id == 0 || each.name.empty() || each.age < 0ns ? 1 : 0;
                }
                (void)rt.snapshot().prometheus();
            }
        });
    }
    auto const lives = [](unsigned kind) -> task<> {
        if (kind % 3 == 0) {
            co_await sleep(10us);
        } else if (kind % 3 == 1) {
            auto h = spawn(sleep(5us));
            co_await std::move(h);
        }
    };
    auto const body = [&]() -> task<> {
        for (unsigned i = 0; i < rounds(20'000); ++i) {
            auto h = spawn({.name = i % 2 == 0 ? "even" : ""}, lives, i);
            if (i % 4 == 0) {
                co_await std::move(h);
            } else if (i % 4 == 1) {
                h.cancel();
            }
        }
    };
    rt.block_on(body());
    stop = true;
    for (auto& each : lookers) {
        each.join();
    }
    CHECK(wrong == 0);
    until([&] { return rt.tasks().empty(); });
}

TEST_CASE("rt.snapshot(): counts what was spawned, what lives, what waits where") {
    runtime rt(threads(1));
    CHECK(rt.snapshot().tasks_spawned == 0);
    std::atomic<bool> blocked{false};
    std::atomic<bool> go_on{false};
    auto sleeper = rt.spawn(sleep(1h));
    until([&] { return rt.snapshot().totals().timers == 1; });
    auto const blocks = [](std::atomic<bool>& begun, std::atomic<bool>& end) -> task<> {
        for (int i = 0; i < 7; ++i) {
            spawn_detached(nothing());
        }
        begun = true;
        until([&] { return end.load(); });
        co_return;
    };
    auto blocker = rt.spawn(blocks, std::ref(blocked), std::ref(go_on));
    until([&] { return blocked.load(); });
    for (int i = 0; i < 7; ++i) {
        rt.spawn(nothing(), {.pinned = true}).detach();
    }
    metrics const m = rt.snapshot();
    CHECK(m.tasks_spawned == 16);
    CHECK(m.tasks_live == 16);
    CHECK(m.totals().run_queue == 7);
    CHECK(m.totals().pinned == 7);
    CHECK(m.totals().timers == 1);
    go_on = true;
    blocker.blocking_wait();
    sleeper.cancel();
    until([&] { return rt.snapshot().tasks_live == 0; });
    CHECK(rt.snapshot().totals().timers_fired == 0);
    CHECK(rt.snapshot().totals().tasks_resumed >= 16);
}

}  // namespace
