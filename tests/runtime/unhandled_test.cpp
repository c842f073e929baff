// An error that nobody looked at is reported to on_unhandled exactly once; one that somebody looked at, never.

#include <magpie/runtime/hooks.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<int> fails() {
    co_await this_task::yield();
    throw std::runtime_error("the error");
}

task<> sleeps() {
    co_await sleep(1h);
}

using scenario = std::function<task<>(runtime&)>;

// How often the hook is told while `body` runs as the main task, and until the runtime is gone.
std::vector<event_log::entry> reports(scenario const& body, config c) {
    event_log log;
    c.hooks.on_unhandled = log.listener();
    {
        runtime rt(std::move(c));
        rt.block_on(body(rt));
    }
    return log.entries();
}

// Until the main task is the only one.
task<> others_have_ended(runtime& rt) {
    while (rt.snapshot().tasks_live > 1) {
        co_await sleep(1us);
    }
}

// The same on both clocks: the ways in which the end and the handle's death meet differ.
std::size_t count_reports(scenario const& body) {
    std::size_t const virtual_time = reports(body, simulated()).size();
    for (unsigned i = 0; i < rounds(200); ++i) {
        std::size_t const real_time = reports(body, threads(2)).size();
        if (real_time != virtual_time) {
            return 1000 + real_time;
        }
    }
    return virtual_time;
}

TEST_CASE("TASK-08, BEY-16: reported once if the task is detached, or the handle dropped, before or after the end") {
    CHECK(count_reports([](runtime& rt) -> task<> {
        spawn_detached(fails());
        co_await others_have_ended(rt);
    }) == 1);
    CHECK(count_reports([](runtime& rt) -> task<> {
        auto h = spawn(fails());
        h.detach();
        co_await others_have_ended(rt);
    }) == 1);
    CHECK(count_reports([](runtime&) -> task<> {
        auto h = spawn(fails());
        while (!h.done()) {
            co_await this_task::yield();
        }
        (void)h.cancelled();
        (void)h.id();
    }) == 1);
    CHECK(count_reports([](runtime& rt) -> task<> {
        auto h = rt.spawn(fails());
        auto const ref = h.ref();
        h = {};
        while (!ref.done()) {
            co_await this_task::yield();
        }
    }) == 1);
    CHECK(count_reports([](runtime&) -> task<> {
        auto shared = spawn(fails()).share();
        auto copy = shared;
        while (!shared.done()) {
            co_await this_task::yield();
        }
        shared = {};
    }) == 1);
}

TEST_CASE("TASK-08: never reported if it was awaited or read") {
    CHECK(count_reports([](runtime&) -> task<> {
        auto h = spawn(fails());
        try {
            co_await std::move(h);
        } catch (std::runtime_error const&) {
        }
    }) == 0);
    CHECK(count_reports([](runtime&) -> task<> {
        auto h = spawn(fails());
        try {
            co_await h;
        } catch (std::runtime_error const&) {
        }
    }) == 0);
    CHECK(count_reports([](runtime&) -> task<> {
        auto h = spawn(fails());
        while (!h.done()) {
            co_await this_task::yield();
        }
        (void)h.result();
    }) == 0);
    CHECK(count_reports([](runtime&) -> task<> {
        auto shared = spawn(fails()).share();
        auto other = shared;
        try {
            co_await shared;
        } catch (std::runtime_error const&) {
        }
        other = {};
    }) == 0);
}

TEST_CASE("TASK-08: a cancelled task has not failed; nor one that ended with a value") {
    CHECK(count_reports([](runtime&) -> task<> {
        auto h = spawn(sleeps());
        co_await this_task::yield();
        h.cancel();
        h.detach();
        spawn_detached(sleeps());  // cancelled as a leftover
        auto const gives = []() -> task<int> { co_return 1; };
        spawn_detached(gives);
        co_await this_task::yield();
    }) == 0);
}

TEST_CASE("RUN-05, CAN-21: an error in a leftover's cleanup is reported") {
    auto const entries = reports(
        [](runtime&) -> task<> {
            auto const leftover = []() -> task<> {
                try {
                    co_await sleep(1h);
                } catch (task_cancelled const&) {
                    throw std::runtime_error("cleanup failed");
                }
            };
            spawn_detached(leftover, {.name = "leftover"});
            co_await this_task::yield();
        },
        simulated());
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].error.find("cleanup failed") != std::string::npos);
    CHECK(entries[0].name == "leftover");
}

TEST_CASE("on_unhandled: is told the error, the task's id, name and place, and what happened") {
    task_id id = 0;
    unsigned line = 0;
    auto const entries = reports(
        [&](runtime&) -> task<> {
            line = std::source_location::current().line() + 1;
            auto h = spawn(fails(), {.name = "worker bee"});
            id = h.id();
            h.detach();
            co_await sleep(1us);
        },
        simulated());
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].error == "std::runtime_error: the error");
    CHECK(entries[0].id == id);
    CHECK(entries[0].name == "worker bee");
    CHECK(entries[0].line == line);
    CHECK_FALSE(entries[0].context.empty());
}

TEST_CASE("TASK-08: a handle that dies unread on a foreign thread: the runtime's hook is told, with id and name") {
    event_log log;
    config c = threads(2);
    c.hooks.on_unhandled = log.listener();
    runtime rt(c);
    auto h = rt.spawn(fails(), {.name = "n"});
    task_id const id = h.id();
    h.blocking_wait();
    CHECK(log.size() == 0);
    h = {};
    until([&] { return log.size() == 1; });  // the worker may still have its own reference, and then reports
    CHECK(log.entries()[0].id == id);
    CHECK(log.entries()[0].name == "n");
}

TEST_CASE("TASK-08: a handle that dies on another runtime's worker: its own runtime's hook is told") {
    event_log own;
    event_log other;
    config a = threads(1);
    a.hooks.on_unhandled = own.listener();
    config b = threads(1);
    b.hooks.on_unhandled = other.listener();
    runtime rt(a);
    runtime second(b);
    auto h = rt.spawn(fails());
    h.blocking_wait();
    auto const drops = [](join_handle<int> dropped) -> task<> {
        dropped = {};
        co_return;
    };
    second.block_on(second.spawn(drops, std::move(h)));
    until([&] { return own.size() == 1; });
    CHECK(other.size() == 0);
}

TEST_CASE("TASK-08: dropping against the end, on three threads: exactly one report each") {
    event_log log;
    config c = threads(2);
    c.hooks.on_unhandled = log.listener();
    unsigned const n = rounds(20'000);
    {
        runtime rt(c);
        auto const fails_at_once = []() -> task<> {
            throw std::runtime_error("e");
            co_return;
        };
        for (unsigned i = 0; i < n; ++i) {
            auto shared = rt.spawn(fails_at_once).share();
            if (i % 2 == 0) {
                auto const holds = [](shared_handle<void>) -> task<> { co_return; };
                rt.spawn(holds, shared).detach();
            }
        }
        until([&] { return rt.snapshot().tasks_live == 0; });  // or the end would cancel those that have not begun
    }
    CHECK(log.size() == n);
}

TEST_CASE("TASK-08: a handle that dies while its task ends and its runtime goes: the hook is told all the same") {
    event_log log;
    config c = threads(2);
    c.hooks.on_unhandled = log.listener();
    unsigned const n = rounds(100);
    for (unsigned i = 0; i < n; ++i) {
        runtime rt(c);
        auto h = rt.spawn(fails());
        until([&] { return h.done(); });
        some_moments(i % 7);
        h = {};
    }
    CHECK(log.size() == n);
}

TEST_CASE("LOOP-12: a hook that throws harms nobody") {
    std::atomic<int> told{0};
    config c = threads(2);
    c.hooks.on_unhandled = [&](event_info const&) {
        ++told;
        throw std::runtime_error("from the hook");
    };
    runtime rt(c);
    for (int i = 0; i < 3; ++i) {
        rt.spawn(fails()).detach();
    }
    until([&] { return told == 3; });
    auto const gives = []() -> task<int> { co_return 5; };
    CHECK(rt.block_on(gives()) == 5);
}

TEST_CASE("TASK-13: hooks: are called under no lock: a hook may use the runtime") {
    std::atomic<int> told{0};
    std::atomic<int> spawned{0};
    runtime* current = nullptr;
    auto const counts = [](std::atomic<int>& into) -> task<> {
        ++into;
        co_return;
    };
    config c = threads(2);
    c.hooks.on_unhandled = [&](event_info const&) {
        (void)current->tasks();
        (void)current->snapshot();
        current->spawn(counts, std::ref(spawned)).detach();
        current->post([&] { ++spawned; });
        ++told;
    };
    runtime rt(c);
    current = &rt;
    rt.spawn(fails()).detach();
    auto read_late = rt.spawn(fails());
    read_late.blocking_wait();
    read_late = {};
    until([&] { return told == 2 && spawned == 4; });
}

TEST_CASE("exceptions that are not std::exception are reported too") {
    auto const entries = reports(
        [](runtime&) -> task<> {
            auto const throws_int = []() -> task<> {
                throw 42;
                co_return;
            };
            spawn_detached(throws_int);
            co_await this_task::yield();
        },
        simulated());
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].error.find("int") != std::string::npos);
}

}  // namespace
