#include <magpie/runtime/this_task.hpp>

#include <magpie/runtime/runtime.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

using trace = std::vector<std::string>;

TEST_CASE("TASK-19, DBG-02: outside a task there is no current one: usage_error") {
    CHECK_THROWS_AS((void)this_task::id(), usage_error);
    CHECK_THROWS_AS((void)this_task::name(), usage_error);
    CHECK_THROWS_AS((void)this_task::worker(), usage_error);
    CHECK_THROWS_AS(this_task::cancel(), usage_error);
    CHECK_THROWS_AS((void)this_task::cancelling(), usage_error);
    CHECK_THROWS_AS((void)this_task::uncancel(), usage_error);
    CHECK_THROWS_AS((void)this_task::stop_token(), usage_error);
}

TEST_CASE("TASK-19: the current task is right after every suspension, on whatever worker") {
    runtime rt(threads(4));
    std::atomic<int> wrong{0};
    std::atomic<unsigned> elsewhere{0};
    auto const looks = [](std::atomic<int>& errors, std::atomic<unsigned>& moves) -> task<> {
        task_id const own = this_task::id();
        for (int i = 0; i < 200; ++i) {
            unsigned const before = this_task::worker();
            std::thread::id const thread = std::this_thread::get_id();
            if (i % 3 == 0) {
                co_await sleep(1us);
            } else {
                co_await this_task::yield();
            }
            errors += this_task::id() != own ? 1 : 0;
            bool const same_worker = this_task::worker() == before;
            errors += same_worker != (std::this_thread::get_id() == thread) ? 1 : 0;
            moves += same_worker ? 0U : 1U;
        }
    };
    std::vector<join_handle<void>> all;
    for (unsigned i = 0; i < rounds(200); ++i) {
        all.push_back(rt.spawn(looks, std::ref(wrong), std::ref(elsewhere)));
    }
    for (auto& each : all) {
        each.blocking_wait();
    }
    CHECK(wrong == 0);
    WARN(elsewhere > 0);  // chance: nobody may have been stolen
}

TEST_CASE("this_task::id() and name(): those of the handle; ids are never used twice") {
    runtime rt(threads(2));
    auto const own = []() -> task<std::pair<task_id, std::string>> { co_return std::pair(this_task::id(), this_task::name()); };
    std::vector<task_id> ids;
    for (int i = 0; i < 100; ++i) {
        auto h = rt.spawn(own, i % 2 == 0 ? spawn_options{.name = "named"} : spawn_options{});
        task_id const id = h.id();
        auto const seen = rt.block_on(std::move(h));
        REQUIRE(seen.first == id);
        REQUIRE(seen.first != 0);
        REQUIRE(seen.second == (i % 2 == 0 ? "named" : "task " + std::to_string(id)));
        ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
}

TEST_CASE("block_on: its task is named main") {
    auto const name = []() -> task<std::string> { co_return this_task::name(); };
    CHECK(run(name(), simulated()) == "main");
}

TEST_CASE("LOOP-05: yield and sleep(0) give every ready task one turn, round robin") {
    trace seen;
    auto const speaks = [](trace& into, char const* name, bool naps) -> task<> {
        for (int i = 1; i <= 3; ++i) {
            into.push_back(name + std::to_string(i));
            if (naps) {
                co_await sleep(0s);
            } else {
                co_await this_task::yield();
            }
        }
    };
    auto const body = [&]() -> task<> {
        spawn_detached(speaks, std::ref(seen), "a", false);
        spawn_detached(speaks, std::ref(seen), "b", true);
        spawn_detached(speaks, std::ref(seen), "c", false);
        co_await sleep(1ns);
    };
    run(body(), simulated());
    CHECK(seen == trace{"a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"});
}

TEST_CASE("LOOP-05: what is ready on the worker has run once when yield comes back, pinned or not") {
    for (bool const pinned : {false, true}) {
        CAPTURE(pinned);
        runtime rt(threads(1));
        auto const body = []() -> task<int> {
            std::atomic<int> ran{0};
            auto const counts = [](std::atomic<int>& into) -> task<> {
                ++into;
                co_return;
            };
            for (int i = 0; i < 10; ++i) {
                spawn_detached({.pinned = i % 2 == 0}, counts, std::ref(ran));
            }
            co_await this_task::yield();
            int const after = ran;
            while (ran != 10) {
                co_await this_task::yield();
            }
            co_return after;
        };
        CHECK(rt.block_on(body(), {.name = "main", .pinned = pinned}) == 10);
    }
}

TEST_CASE("LOOP-15: a million yields") {
    auto const body = []() -> task<unsigned> {
        unsigned n = 0;
        for (; n < rounds(1'000'000); ++n) {
            co_await this_task::yield();
        }
        co_return n;
    };
    CHECK(run(body(), threads(1)) == rounds(1'000'000));
    CHECK(run(body(), simulated()) == rounds(1'000'000));
}

// ------------------------------------------------------------------------------------------------ cancelling oneself

TEST_CASE("CAN-13: cancelling() counts requests from outside and from inside") {
    auto const counts = []() -> task<trace> {
        trace seen;
        seen.push_back(std::to_string(this_task::cancelling()));
        this_task::cancel();
        this_task::cancel();
        seen.push_back(std::to_string(this_task::cancelling()));
        try {
            co_await this_task::yield();
        } catch (task_cancelled const&) {
            seen.push_back(std::to_string(this_task::cancelling()));
        }
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            seen.push_back(std::to_string(this_task::cancelling()));
        }
        co_return seen;
    };
    auto const body = [&]() -> task<trace> {
        auto h = spawn(counts);
        co_await sleep(1s);
        h.cancel();
        co_return co_await std::move(h);
    };
    CHECK(run(body(), simulated()) == trace{"0", "2", "2", "3"});
}

TEST_CASE("CAN-15, CAN-16: uncancel lowers the count, never below 0; at 0 an undelivered request is withdrawn") {
    auto const body = []() -> task<> {
        CHECK(this_task::uncancel() == 0);
        this_task::cancel();
        this_task::cancel();
        CHECK(this_task::uncancel() == 1);
        bool delivered = false;
        try {
            co_await this_task::yield();
        } catch (task_cancelled const&) {
            delivered = true;
        }
        CHECK(delivered);
        CHECK(this_task::uncancel() == 0);
        this_task::cancel();
        CHECK(this_task::uncancel() == 0);
        co_await this_task::yield();  // withdrawn
        co_await this_task::checkpoint();
        this_task::cancel();
        delivered = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            delivered = true;
        }
        CHECK(delivered);
        CHECK(this_task::uncancel() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("CAN-16: a request from outside, made while the task runs, is withdrawn too") {
    runtime rt(threads(1));
    std::atomic<bool> running{false};
    auto const withdraws = [](std::atomic<bool>& flag) -> task<unsigned> {
        flag = true;
        until([] { return this_task::cancelling() == 2; });
        this_task::uncancel();
        unsigned const left = this_task::uncancel();
        co_await this_task::yield();
        co_await sleep(1us);
        co_return left;
    };
    auto h = rt.spawn(withdraws, std::ref(running));
    until([&] { return running.load(); });
    CHECK((h.cancel() && h.cancel()));
    h.blocking_wait();
    CHECK(h.result().value() == 0);
}

TEST_CASE("stop_token: true as long as a request is counted; empty by default") {
    CHECK_FALSE(stop_token().stop_requested());
    CHECK_FALSE(stop_token().stop_possible());
    auto const body = []() -> task<> {
        auto const token = this_task::stop_token();
        auto const copy = token;
        CHECK(token.stop_possible());
        CHECK_FALSE(token.stop_requested());
        this_task::cancel();
        CHECK((token.stop_requested() && copy.stop_requested()));
        this_task::uncancel();
        CHECK_FALSE(token.stop_requested());
        co_return;
    };
    run(body(), simulated());
}

TEST_CASE("stop_token: read by another thread while the task runs") {
    runtime rt(threads(1));
    std::atomic<bool> running{false};
    auto const polls = [](std::atomic<bool>& flag) -> task<> {
        auto const token = this_task::stop_token();
        std::atomic<bool> seen{false};
        std::thread helper([&] {
            until([&] { return token.stop_requested(); });
            seen = true;
        });
        flag = true;
        until([&] { return seen.load(); });
        helper.join();
        co_return;
    };
    auto h = rt.spawn(polls, std::ref(running));
    until([&] { return running.load(); });
    CHECK(h.cancel());
    h.blocking_wait();
    CHECK(h.result().has_value());
}

TEST_CASE("checkpoint: nothing without a request; it never suspends") {
    auto const body = []() -> task<bool> {
        bool ran = false;
        auto const marks = [](bool& flag) -> task<> {
            flag = true;
            co_return;
        };
        auto h = spawn(marks, std::ref(ran));
        for (int i = 0; i < 1000; ++i) {
            co_await this_task::checkpoint();
        }
        bool const untouched = !ran;
        co_await std::move(h);
        co_return untouched;
    };
    CHECK(run(body(), simulated()));
}

}  // namespace
