// Rows about deadlines that concern other features too, or need the real clock.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>
#include <runtime/support/allocations.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Busy past both deadlines, then suspended. False in `in_time`: one had passed before both were set, on a machine that
// took the CPU away; then the round says nothing.
task<> busy_past(time_point own, time_point outer, bool& in_time, timeout_scope& scope) {
    scope.reschedule(own);
    in_time = now() < std::min(own, outer);
    until([&] { return now() > std::max(own, outer); });
    co_await sleep(1h);
}

// Both deadlines pass while the task is busy. The code between the blocks swallows every cancellation.
task<> two_deadlines(duration inner_limit, duration outer_limit, trace& seen, bool& in_time) {
    auto const start = now();
    auto const inner = [&](timeout_scope& scope) {
        return busy_past(start + inner_limit, start + outer_limit, in_time, scope);
    };
    auto const outer = [&](timeout_scope& scope) -> task<> {
        scope.reschedule(start + outer_limit);
        seen.push_back("inner " + co_await how(with_timeout(1h, inner)));
        seen.push_back("next " + co_await how(nap(1h)));
        throw task_cancelled();
    };
    seen.push_back("outer " + co_await how(with_timeout(1h, outer)));
    CHECK(this_task::cancelling() == 0);
    co_await sleep(1us);
}

TEST_CASE("TO-12, TO-13: a task busy past both deadlines: only the outermost converts, and interrupts what follows") {
    trace const exact{"inner cancelled", "next cancelled", "outer timeout"};
    trace const inner_first{"inner timeout", "next cancelled", "outer timeout"};
    for (unsigned const workers : {1U, 2U, 8U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.stall_threshold = 1h;  // a rescuer may be held up between taking a timer that is due and firing it
        runtime rt(c);
        auto const round = [&](duration inner, duration outer) {
            trace seen;
            bool in_time = false;
            while (!in_time) {
                seen.clear();
                rt.block_on(two_deadlines(inner, outer, seen, in_time));
            }
            return seen;
        };
        for (unsigned i = 0; i < rounds(40); ++i) {
            CHECK(round(2ms, 1ms) == exact);
            CHECK(round(2ms, 2ms) == exact);
            trace const seen = round(1ms, 2ms);
            // The task may go on before the outer timer is looked at, which then interrupts what follows.
            CHECK((seen == exact || seen == inner_first));
        }
    }
}

TEST_CASE("TO-15: the state of a block: its deadline, and whether it has expired") {
    auto const body = []() -> task<> {
        auto const start = now();
        auto const block = [&](timeout_scope& scope) -> task<> {
            CHECK((scope.when() == start + 10ms && !scope.expired()));  // active
            scope.reschedule(std::nullopt);
            CHECK((!scope.when().has_value() && !scope.expired()));  // disabled
            scope.reschedule(start + 20ms);
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                CHECK((scope.when() == start + 20ms && scope.expired()));  // expired
                throw;
            }
        };
        auto const ended = co_await how(with_timeout(10ms, block));
        CHECK(ended == "timeout");
    };
    run(body(), simulated());
}

TEST_CASE("WF-17: a getter whose time is over leaves nothing behind, however many there were") {
    auto const body = []() -> task<> {
        queue<int> q(1);
        std::int64_t before = 0;
        for (unsigned i = 0; i < rounds(20'000); ++i) {
            bool timed_out = false;
            try {
                (void)co_await timeout(1ms, q.get());
            } catch (timeout_error const&) {
                timed_out = true;
            }
            if (!timed_out) {
                CHECK(false);
            }
            before = i == 100 ? live_bytes() : before;
        }
        CHECK(live_bytes() - before < 4096);
        CHECK(q.try_put(5));  // to nobody: it stays
        CHECK(q.size() == 1);
        int const five = co_await timeout(1ms, q.get());
        CHECK(five == 5);
    };
    run(body(), simulated());
}

TEST_CASE("WF-17: puts against getters whose time is over, on two and eight workers: every item arrives once") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        queue<int> q(2);
        std::atomic<long> got{0};
        int const items = static_cast<int>(rounds(5000));
        auto const takes = [&]() -> task<> {
            for (unsigned i = 0;; ++i) {
                try {
                    auto const item = co_await timeout(std::chrono::microseconds(1 + i % 5), q.next());
                    if (!item) {
                        co_return;
                    }
                    got += *item;
                } catch (timeout_error const&) {
                }
            }
        };
        auto const puts = [&]() -> task<> {
            for (int i = 1; i <= items; ++i) {
                if (i % 7 == 0) {
                    co_await sleep(3us);
                }
                co_await q.put(i);
            }
            q.close();
        };
        auto const body = [&]() -> task<> { co_await gather(takes(), takes(), takes(), puts()); };
        rt.block_on(body());
        CHECK(got == static_cast<long>(items) * (items + 1) / 2);
    }
}

static_assert(!std::is_base_of_v<task_cancelled, timeout_error> && std::is_base_of_v<std::exception, timeout_error>);
static_assert(!std::is_base_of_v<std::exception, task_cancelled>);

TEST_CASE("WF-18: a timeout and a cancellation differ in type") {
    auto const body = []() -> task<> {
        auto const kind = [](bool& timed_out, bool& cancelled, duration limit) -> task<> {
            try {
                co_await timeout(limit, sleep(1h));
            } catch (std::exception const&) {
                timed_out = true;
            } catch (task_cancelled const&) {
                cancelled = true;
                throw;
            }
        };
        bool timed_out = false;
        bool cancelled = false;
        co_await kind(timed_out, cancelled, 1ms);
        CHECK((timed_out && !cancelled));
        timed_out = false;
        auto h = spawn(kind(timed_out, cancelled, 2h));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK((!timed_out && cancelled && h.cancelled()));
    };
    run(body(), simulated());
}

// What a block that cancels its own task makes of a request from outside.
struct story {
    bool asked;      // from outside, in the turn in which the block cancels its task
    bool own;        // the block has a reason to cancel
    bool swallows;   // the body returns in spite of being cancelled
    char const* ends;
    char const* next;  // the suspension after the block
    unsigned count;
};

// A block that was not cancelled, cancelled by itself, by others, by both.
constexpr story with_a_deadline[] = {
    {false, false, false, "value", "value", 0},    {false, true, false, "timeout", "value", 0},
    {false, true, true, "value", "value", 0},      {true, false, false, "cancelled", "value", 1},
    {true, true, false, "cancelled", "value", 1},  {true, false, true, "value", "value", 1},
    {true, true, true, "value", "value", 1},
};
constexpr story with_a_child[] = {
    {false, false, false, "value", "value", 0},    {false, true, false, "group of 1", "value", 0},
    {false, true, true, "group of 1", "value", 0}, {true, false, false, "cancelled", "value", 1},
};

task<> works(duration d, bool swallows) {
    try {
        co_await sleep(d);
    } catch (task_cancelled const&) {
        if (!swallows) {
            throw;
        }
    }
}

task<> tells(trace& seen, unsigned& count, task<> block) {
    try {
        co_await std::move(block);
        seen.emplace_back("value");
    } catch (timeout_error const&) {
        seen.emplace_back("timeout");
    } catch (exception_group const& errors) {
        seen.push_back("group of " + std::to_string(errors.size()));
    } catch (task_cancelled const&) {
        seen.emplace_back("cancelled");
    }
    count = this_task::cancelling();
    seen.push_back(co_await how(nap(1ms)));
}

TEST_CASE("CAN-17, TO-22: a block with a deadline takes back what it asked for, on every exit, and nothing else") {
    for (story const& each : with_a_deadline) {
        CAPTURE(each.asked);
        CAPTURE(each.own);
        CAPTURE(each.swallows);
        auto const body = [&]() -> task<> {
            trace seen;
            unsigned count = 99;
            auto const block = [&](timeout_scope&) { return works(each.asked || each.own ? 1h : 1ms, each.swallows); };
            auto h = spawn(tells(seen, count, with_timeout(each.own ? duration(10ms) : duration::max(), block)));
            co_await sleep(10ms);  // its timer is before the deadline's: both fire now, and this task runs first
            if (each.asked) {
                h.cancel();
            }
            co_await std::move(h);
            CHECK(seen == trace{each.ends, each.next});
            CHECK(count == each.count);
        };
        run(body(), simulated());
    }
}

TEST_CASE("CAN-17: a task group takes back what it asked for, on every exit, and nothing else") {
    for (story const& each : with_a_child) {
        CAPTURE(each.asked);
        CAPTURE(each.own);
        CAPTURE(each.swallows);
        auto const body = [&]() -> task<> {
            trace seen;
            unsigned count = 99;
            auto const block = [&](task_group& g) -> task<> {
                if (each.own) {
                    g.spawn(fails_after(10ms, "child"));
                }
                co_await works(each.asked || each.own ? 1h : 1ms, each.swallows);
            };
            auto h = spawn(tells(seen, count, with_task_group(block)));
            co_await sleep(20ms);
            if (each.asked) {
                h.cancel();
            }
            co_await std::move(h);
            CHECK(seen == trace{each.ends, each.next});
            CHECK(count == each.count);
        };
        run(body(), simulated());
    }
}

// Blocks that cancel themselves, at about the time at which a request from outside comes: that request is met in the
// block, or at the next suspension, and never lost.
task<> groups_and_deadlines(unsigned i, std::atomic<bool>& met) {
    try {
        auto const block = [&](task_group& g) -> task<> {
            g.spawn(fails_after(std::chrono::microseconds(i % 17), "child"));
            co_await timeout(std::chrono::microseconds(i % 13), sleep(1h));
        };
        co_await timeout(std::chrono::microseconds(i % 19), with_task_group(block));
    } catch (timeout_error const&) {
    } catch (exception_group const&) {
    } catch (task_cancelled const&) {
        met = true;
        throw;
    }
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        met = true;
        throw;
    }
}

TEST_CASE("BEY-28, TG-35: no request is lost among timeouts and failing children, on two and eight workers") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        bool right = true;
        for (unsigned i = 0; i < rounds(4000); ++i) {
            std::atomic<bool> met{false};
            auto h = rt.spawn(groups_and_deadlines(i, met));
            some_moments(i % 37);
            bool const accepted = h.cancel();
            h.blocking_wait();  // the test's time limit ends a wait in vain: a request was lost
            right = right && accepted && h.cancelled();
        }
        CHECK(right);
    }
}

}  // namespace
