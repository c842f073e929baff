// join_handle::on_done(): scheduled, never inline, in the order of registration, exactly once.

#include <magpie/runtime/join_handle.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
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

task<> nothing() {
    co_return;
}

task<> one_turn() {
    co_await this_task::yield();
}

TEST_CASE("TASK-12: callbacks run after the end, in the order of registration, and never inside on_done") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto h = spawn(one_turn());
        h.on_done([&] { seen.emplace_back(h.done() ? "first" : "first, too early"); });
        h.on_done([&] { seen.emplace_back("second"); });
        co_await h;
        h.on_done([&] { seen.emplace_back("third, registered late"); });
        seen.emplace_back("registered");
        co_await sleep(1s);
    };
    run(body(), simulated());
    REQUIRE(seen.size() == 4);
    trace without_marker;
    for (auto const& each : seen) {
        if (each != "registered") {
            without_marker.push_back(each);
        }
    }
    CHECK(without_marker == trace{"first", "second", "third, registered late"});
    CHECK(seen.back() != "registered");
}

TEST_CASE("TASK-13: on_done: a callback runs as a task, on a worker, and may spawn, register and drop handles") {
    int spawned = 0;
    bool in_a_task = false;
    auto const counts = [](int& into) -> task<> {
        ++into;
        co_return;
    };
    auto const body = [&]() -> task<> {
        auto h = std::make_shared<join_handle<void>>(spawn(nothing()));
        h->on_done([&, h] {
            in_a_task = this_task::id() != 0;
            spawn_detached(counts, std::ref(spawned));
            h->on_done([&] { spawned += 10; });
            h->detach();
        });
        h.reset();
        co_await sleep(1s);
    };
    run(body(), simulated());
    CHECK(in_a_task);
    CHECK(spawned == 11);
}

TEST_CASE("on_done: runs however the task ends, also if it never started, also if nobody keeps a handle") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    int calls = 0;
    auto const fails = []() -> task<> {
        throw std::runtime_error("e");
        co_return;
    };
    auto const body = [&]() -> task<> {
        auto bad = spawn(fails);
        bad.on_done([&] { ++calls; });
        auto gone = spawn(nothing());
        gone.on_done([&] { ++calls; });
        gone.cancel();
        auto dropped = spawn(one_turn());
        dropped.on_done([&] { ++calls; });
        dropped.detach();
        auto sleeper = spawn(sleep(1h));
        sleeper.on_done([&] { ++calls; });
        co_await sleep(1ns);
        sleeper.cancel();
        co_await sleep(1ns);
    };
    run(body(), c);
    CHECK(calls == 4);
    CHECK(unhandled.size() == 1);
}

TEST_CASE("LOOP-12: what a callback throws goes to on_unhandled, once; the next callback runs all the same") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    int calls = 0;
    auto const body = [&]() -> task<> {
        auto h = spawn(nothing());
        h.on_done([] { throw std::runtime_error("from the callback"); });
        h.on_done([&] { ++calls; });
        co_await sleep(1ns);
    };
    run(body(), c);
    CHECK(calls == 1);
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled.entries()[0].error.find("from the callback") != std::string::npos);
}

TEST_CASE("TASK-12: callbacks of a task that has just ended still run when the program ends") {
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        std::atomic<int> calls{0};
        unsigned const n = virtual_time ? 1 : rounds(500);
        for (unsigned i = 0; i < n; ++i) {
            auto const body = [&]() -> task<> {
                auto h = spawn(nothing());
                co_await h;
                h.on_done([&] { ++calls; });
            };
            run(body(), virtual_time ? simulated() : threads(2));
        }
        CHECK(calls == static_cast<int>(n));
    }
}

TEST_CASE("TASK-12: registering against the end: every callback runs exactly once, in order") {
    struct sequence {
        std::atomic<int> next{0};
        std::atomic<int> wrong{0};
    };
    constexpr int per_task = 8;
    runtime rt(threads(3));
    std::atomic<unsigned> calls{0};
    unsigned const n = rounds(20'000);
    std::vector<std::unique_ptr<sequence>> sequences;
    for (unsigned i = 0; i < n; ++i) {
        sequences.push_back(std::make_unique<sequence>());
        auto h = rt.spawn(nothing());
        for (int k = 0; k < per_task; ++k) {
            h.on_done([&calls, &s = *sequences.back(), k] {
                if (s.next.fetch_add(1) != k) {
                    ++s.wrong;
                }
                ++calls;
            });
        }
    }
    until([&] { return calls == n * per_task; });
    rt.block_on(sleep(1us));
    int wrong = 0;
    for (auto const& each : sequences) {
        wrong += each->wrong;
    }
    CHECK(wrong == 0);
    CHECK(calls == n * per_task);
}

TEST_CASE("on_done: from two threads at once, against the end") {
    runtime rt(threads(2));
    std::atomic<unsigned> calls{0};
    unsigned const n = rounds(5000);
    for (unsigned i = 0; i < n; ++i) {
        auto h = rt.spawn(one_turn()).share();
        std::thread other([&, copy = h] { copy.on_done([&] { ++calls; }); });
        h.on_done([&] { ++calls; });
        other.join();
    }
    until([&] { return calls == 2 * n; });
}

TEST_CASE("TASK-12: callbacks of tasks that end while the runtime goes run, on whichever workers") {
    for (unsigned i = 0; i < rounds(500); ++i) {
        std::atomic<int> calls{0};
        {
            runtime rt(threads(4));
            for (int k = 0; k < 8; ++k) {
                rt.spawn(one_turn()).on_done([&] { ++calls; });
            }
        }
        CHECK(calls == 8);
    }
}

TEST_CASE("on_done: while the runtime goes a callback runs, or is refused") {
    for (unsigned i = 0; i < rounds(500); ++i) {
        std::atomic<int> calls{0};
        int taken = 0;
        std::thread other;
        {
            runtime rt(threads(2));
            auto h = rt.spawn(nothing()).share();
            h.blocking_wait();
            other = std::thread([&, h] {
                constexpr int many = 200;  // not for ever: the runtime waits for those that it has taken
                try {
                    for (; taken < many; ++taken) {
                        h.on_done([&] { ++calls; });
                    }
                } catch (usage_error const&) {}
            });
            some_moments(i % 8);
        }
        other.join();
        CHECK(calls == taken);
    }
}

TEST_CASE("on_done: on a task whose runtime is gone: usage_error, nothing is touched") {
    join_handle<void> h;
    {
        runtime rt(threads(1));
        h = rt.spawn(nothing());
        h.blocking_wait();
    }
    bool called = false;
    CHECK_THROWS_AS(h.on_done([&] { called = true; }), usage_error);
    CHECK_FALSE(called);
}

}  // namespace
