// Requests to cancel a task: the CAN rows, as far as they need no combinator. Exact orders on the simulated clock,
// invariants on several workers.

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
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

using trace = std::vector<std::string>;

static_assert(!std::is_base_of_v<std::exception, task_cancelled>);  // CAN-29

task<> sleeps() {
    co_await sleep(1h);
}

TEST_CASE("CAN-01: cancelling a suspended task: true while it lives, false after its end") {
    auto const body = []() -> task<> {
        auto h = spawn(sleeps());
        co_await this_task::yield();
        CHECK(h.cancel());
        CHECK_FALSE(h.done());
        CHECK(h.cancel());
        co_await sleep(1ns);
        CHECK((h.done() && h.cancelled()));
        CHECK_FALSE(h.cancel());
    };
    run(body(), simulated());
}

task<> yields_forever(int& turns) {
    for (;;) {
        ++turns;
        co_await this_task::yield();
    }
}

TEST_CASE("CAN-02: a task parked in yield or sleep(0)") {
    auto const naps_forever = [](int& turns) -> task<> {
        for (;;) {
            ++turns;
            co_await sleep(0s);
        }
    };
    auto const body = [&]() -> task<> {
        int yields = 0;
        int naps = 0;
        auto a = spawn(yields_forever(yields));
        auto b = spawn(naps_forever, std::ref(naps));
        co_await this_task::yield();
        CHECK((yields == 1 && naps == 1));
        a.cancel();
        b.cancel();
        co_await this_task::yield();
        CHECK((yields == 1 && naps == 1));
        CHECK((a.cancelled() && b.cancelled()));
    };
    run(body(), simulated());
}

task<> says_ran(trace& seen, token) {
    seen.emplace_back("ran");
    co_return;
}

TEST_CASE("CAN-03: cancelled before its first step the body never runs; its arguments are destroyed") {
    trace seen;
    tally count;
    runtime rt(simulated());
    auto const body = [&]() -> task<> {
        auto h = spawn(says_ran(seen, token(count)));
        h.cancel();
        co_await this_task::yield();
        CHECK(h.cancelled());
        CHECK(count.alive == 0);
    };
    rt.block_on(body());
    CHECK(seen.empty());
    CHECK(rt.snapshot().tasks_destroyed_unstarted == 1);
}

TEST_CASE("CAN-03: against a worker that starts it: it never ran, or it ran to its first suspension") {
    runtime rt(threads(3));
    std::atomic<int> ran{0};
    auto const body = [](std::atomic<int>& count) -> task<> {
        ++count;
        co_await sleep(1h);
    };
    unsigned const n = rounds(20'000);
    std::vector<join_handle<void>> all;
    for (unsigned i = 0; i < n; ++i) {
        all.push_back(rt.spawn(body, std::ref(ran)));
        CHECK(all.back().cancel());
    }
    bool all_cancelled = true;
    for (auto& each : all) {
        each.blocking_wait();
        all_cancelled = all_cancelled && each.cancelled();
    }
    CHECK(all_cancelled);
    CHECK(static_cast<std::uint64_t>(ran) + rt.snapshot().tasks_destroyed_unstarted == n);
}

task<int> catches_and_returns() {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        co_return 5;
    }
    co_return 0;
}

TEST_CASE("CAN-06, CAN-31: a task may catch the request and return a value: it was not cancelled") {
    auto const body = []() -> task<int> {
        auto h = spawn(catches_and_returns());
        co_await this_task::yield();
        h.cancel();
        int const v = co_await h;
        CHECK_FALSE(h.cancelled());
        co_return v;
    };
    CHECK(run(body(), simulated()) == 5);
}

task<> swallows(trace& seen) {
    for (char const* const each : {"first", "second", "third"}) {
        try {
            co_await sleep(1s);
            seen.push_back(std::string("slept ") + each);
        } catch (task_cancelled const&) {
            seen.push_back(std::string("cancelled ") + each);
        }
    }
}

TEST_CASE("CAN-07: a swallowed request is not delivered again; a new one is") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto h = spawn(swallows(seen));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1500ms);
        h.cancel();
        co_await std::move(h);
    };
    run(body(), simulated());
    CHECK(seen == trace{"cancelled first", "slept second", "cancelled third"});
}

TEST_CASE("CAN-08, CAN-09: a task that cancels itself is interrupted at its next suspension, if there is one") {
    auto const interrupted_later = [](trace& seen) -> task<int> {
        this_task::cancel();
        seen.emplace_back("goes on");
        co_await this_task::yield();
        seen.emplace_back("not reached");
        co_return 1;
    };
    auto const returns = []() -> task<int> {
        this_task::cancel();
        co_return 2;
    };
    auto const body = [&]() -> task<trace> {
        trace seen;
        auto a = spawn(interrupted_later, std::ref(seen));
        auto b = spawn(returns);
        co_await sleep(1ns);
        seen.emplace_back(a.cancelled() ? "a cancelled" : "a not cancelled");
        seen.emplace_back(b.cancelled() ? "b cancelled" : "b not cancelled");
        seen.push_back(std::to_string(b.result().value()));
        co_return seen;
    };
    CHECK(run(body(), simulated()) == trace{"goes on", "a cancelled", "b not cancelled", "2"});
}

task<> relay(join_handle<void> inner, trace& seen, char const* name) {
    try {
        co_await std::move(inner);
    } catch (task_cancelled const&) {
        seen.emplace_back(name);
        throw;
    }
}

task<> leaf(trace& seen) {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        seen.emplace_back("leaf");
        throw;
    }
}

TEST_CASE("CAN-11: cancelling a task cancels what it awaits, to the leaf; the innermost sees it first") {
    trace seen;
    auto const body = [&]() -> task<bool> {
        auto inner = spawn(leaf(seen));
        auto middle = spawn(relay(std::move(inner), seen, "middle"));
        auto outer = spawn(relay(std::move(middle), seen, "outer"));
        co_await sleep(1ms);
        time_point const before = now();
        outer.cancel();
        while (!outer.done()) {
            co_await this_task::yield();
        }
        co_return outer.cancelled() && now() == before;
    };
    CHECK(run(body(), simulated()));
    CHECK(seen == trace{"leaf", "middle", "outer"});
}

TEST_CASE("CAN-10: a request that is pending when the task awaits another is passed on at once") {
    trace seen;
    auto const body = [&]() -> task<bool> {
        auto inner = spawn(leaf(seen));
        co_await this_task::yield();
        auto const cancels_itself_first = [](join_handle<void> h, trace& into) -> task<> {
            this_task::cancel();
            co_await relay(std::move(h), into, "outer");
        };
        auto outer = spawn(cancels_itself_first, std::move(inner), std::ref(seen));
        time_point const before = now();
        while (!outer.done()) {
            co_await this_task::yield();
        }
        co_return outer.cancelled() && now() == before;
    };
    CHECK(run(body(), simulated()));
    CHECK(seen == trace{"leaf", "outer"});
}

TEST_CASE("D9, CAN-18: an awaited task that keeps its value gives it; the request stays for the next suspension") {
    auto const body = []() -> task<trace> {
        auto const outer = [](trace& seen) -> task<> {
            auto inner = spawn(catches_and_returns());
            int const v = co_await std::move(inner);
            seen.push_back(std::to_string(v));
            co_await this_task::yield();
            seen.emplace_back("not reached");
        };
        trace seen;
        auto h = spawn(outer, std::ref(seen));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        seen.emplace_back(h.cancelled() ? "cancelled" : "not cancelled");
        co_return seen;
    };
    CHECK(run(body(), simulated()) == trace{"5", "cancelled"});
}

TEST_CASE("CAN-27: an await that is ready delivers nothing; checkpoint() does") {
    auto const body = []() -> task<trace> {
        auto const looks = [](trace& seen) -> task<> {
            auto ready = spawn(catches_and_returns());
            co_await this_task::yield();
            ready.cancel();
            co_await sleep(1ns);
            this_task::cancel();
            int const v = co_await ready;
            seen.push_back(std::to_string(v));
            try {
                co_await this_task::checkpoint();
                seen.emplace_back("not reached");
            } catch (task_cancelled const&) {
                seen.emplace_back("at the checkpoint");
            }
            co_await this_task::checkpoint();
            co_await this_task::yield();
            seen.emplace_back("delivered once");
        };
        trace seen;
        auto h = spawn(looks, std::ref(seen));
        co_await std::move(h);
        co_return seen;
    };
    CHECK(run(body(), simulated()) == trace{"5", "at the checkpoint", "delivered once"});
}

TEST_CASE("CAN-21: what cleanup throws is the outcome") {
    auto const throws_in_cleanup = []() -> task<> {
        try {
            co_await sleep(1h);
        } catch (...) {
            throw std::runtime_error("fatal");
        }
    };
    auto const body = [&]() -> task<std::string> {
        auto h = spawn(throws_in_cleanup);
        co_await this_task::yield();
        h.cancel();
        try {
            co_await h;
        } catch (std::runtime_error const& e) {
            co_return e.what();
        }
        co_return "";
    };
    CHECK(run(body(), simulated()) == "fatal");
}

TEST_CASE("CAN-30: a chain of a thousand tasks is cancelled from its root, at once") {
    auto const body = []() -> task<bool> {
        trace seen;
        auto root = spawn(leaf(seen));
        for (int i = 0; i < 1000; ++i) {
            root = spawn(relay(std::move(root), seen, "relay"));
        }
        co_await sleep(1s);
        root.cancel();
        co_await sleep(1ns);
        co_return root.cancelled() && seen.size() == 1001 && seen.front() == "leaf";
    };
    CHECK(run(body(), simulated()));
}

}  // namespace
