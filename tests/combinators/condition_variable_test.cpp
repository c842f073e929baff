#include <magpie/combinators/condition_variable.hpp>

#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

struct monitor {
    magpie::mutex m;
    condition_variable changed;
    trace seen;
};

// Takes the mutex, waits once, and says that it goes on, and whether it holds the mutex.
task<> waits(monitor& in, std::string name) {
    auto guard = co_await in.m.lock();
    try {
        co_await in.changed.wait(guard);
    } catch (task_cancelled const&) {
        in.seen.push_back(name + " cancelled" + (guard && in.m.locked() ? "" : " without the mutex"));
        throw;
    }
    in.seen.push_back(name + (guard && in.m.locked() ? "" : " without the mutex"));
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("COND-01: notified first come, first served; a task goes on when it has the mutex again") {
    auto const body = []() -> task<> {
        monitor in;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(waits(in, name)));
        }
        co_await yields(2);
        CHECK(in.changed.waiting() == 3);
        CHECK_FALSE(in.m.locked());
        {
            auto const guard = co_await in.m.lock();
            in.changed.notify_one();
            co_await yields(3);
            CHECK(in.seen.empty());  // the mutex is ours
            CHECK(in.m.waiting() == 1);
        }
        co_await yields(2);
        CHECK(in.seen == trace{"1"});
        in.changed.notify(2);
        co_await yields(4);
        CHECK(in.seen == trace{"1", "2", "3"});
        CHECK_FALSE(in.m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("COND-02: a wait that is cancelled takes the mutex again before it throws") {
    auto const body = []() -> task<> {
        monitor in;
        auto h = spawn(waits(in, "1"));
        co_await yields(2);
        auto guard = co_await in.m.lock();
        h.cancel();
        co_await yields(3);
        CHECK_FALSE(h.done());  // it waits for the mutex
        CHECK(in.changed.waiting() == 0);
        h.cancel();  // once more: it still waits
        co_await yields(3);
        CHECK_FALSE(h.done());
        guard.unlock();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(in.seen == trace{"1 cancelled"});
        CHECK_FALSE(in.m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("COND-02: cancelled with the mutex free: the task has it and throws at once") {
    auto const body = []() -> task<> {
        monitor in;
        auto h = spawn(waits(in, "1"));
        co_await yields(2);
        h.cancel();
        CHECK(in.m.locked());
        co_await yields(2);
        CHECK(h.cancelled());
        CHECK(in.seen == trace{"1 cancelled"});
        CHECK_FALSE(in.m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("COND-03, COND-04: notified, then cancelled while others hold the mutex: it ends cancelled, with the mutex") {
    auto const body = []() -> task<> {
        monitor in;
        auto h = spawn(waits(in, "1"));
        co_await yields(2);
        auto guard = co_await in.m.lock();
        in.changed.notify_one();
        co_await yields(1);
        h.cancel();
        co_await yields(3);
        CHECK_FALSE(h.done());
        CHECK(in.m.waiting() == 1);
        guard.unlock();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(in.seen == trace{"1 cancelled"});
        CHECK_FALSE(in.m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("D9: cancelled after the mutex was handed over: wait() returns, and the request stays pending") {
    auto const body = []() -> task<> {
        monitor in;
        auto const goes_on = [&]() -> task<> {
            auto guard = co_await in.m.lock();
            co_await in.changed.wait(guard);
            in.seen.push_back("notified");
            co_await this_task::yield();
            in.seen.push_back("never");
        };
        auto h = spawn(goes_on());
        co_await yields(2);
        in.changed.notify_one();  // the mutex is free: it is the task's now
        CHECK(in.m.locked());
        h.cancel();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(in.seen == trace{"notified"});
    };
    run(body(), simulated());
}

TEST_CASE("COND-05: waiting needs a guard that holds the mutex; notifying does not") {
    auto const body = []() -> task<> {
        monitor in;
        in.changed.notify_one();
        in.changed.notify_all();
        mutex_guard empty;
        CHECK_THROWS_AS((void)in.changed.wait(empty), usage_error);
        bool told = false;
        try {
            co_await in.changed.wait(empty, [] { return true; });
        } catch (usage_error const&) {
            told = true;
        }
        CHECK(told);
        auto guard = co_await in.m.lock();
        guard.unlock();
        CHECK_THROWS_AS((void)in.changed.wait(guard), usage_error);
    };
    run(body(), simulated());
}

TEST_CASE("COND-06: a predicate is asked under the mutex, before each wait, until it is true") {
    auto const body = []() -> task<> {
        monitor in;
        int level = 0;
        int asked = 0;
        auto const reaches = [&](int wanted) -> task<> {
            auto guard = co_await in.m.lock();
            co_await in.changed.wait(guard, [&] {
                CHECK(in.m.locked());
                ++asked;
                return level >= wanted;
            });
            CHECK(guard);
        };
        co_await reaches(0);  // true at once: no wait
        CHECK(asked == 1);
        auto h = spawn(reaches(2));
        co_await yields(2);
        CHECK(asked == 2);
        for (int i = 1; i <= 2; ++i) {
            {
                auto const guard = co_await in.m.lock();
                level = i;
            }
            in.changed.notify_all();
            co_await yields(3);
            CHECK(asked == 2 + i);
            CHECK(h.done() == (i == 2));
        }
    };
    run(body(), simulated());
}

TEST_CASE("COND-06: a predicate's arguments are kept, and what it throws passes on with the mutex held") {
    auto const body = []() -> task<> {
        monitor in;
        auto guard = co_await in.m.lock();
        co_await in.changed.wait(
            guard, [](std::unique_ptr<int> const& p, std::string const& s) { return *p == 3 && s == "three"; },
            std::make_unique<int>(3), std::string("three"));
        bool thrown = false;
        try {
            co_await in.changed.wait(guard, []() -> bool { throw oops("no answer"); });
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(guard);
        CHECK(in.m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("COND-07: notify(n) wakes min(n, waiters), in order") {
    auto const body = []() -> task<> {
        monitor in;
        in.changed.notify(5);  // nobody waits: not remembered
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(waits(in, name)));
        }
        co_await yields(2);
        in.changed.notify(0);
        co_await yields(3);
        CHECK(in.seen.empty());
        in.changed.notify(1);
        co_await yields(3);
        CHECK(in.seen == trace{"1"});
        in.changed.notify(2048);
        co_await yields(5);
        CHECK(in.seen == trace{"1", "2", "3"});
        t.push_back(spawn(waits(in, "4")));
        t.push_back(spawn(waits(in, "5")));
        co_await yields(2);
        in.changed.notify_all();
        co_await yields(5);
        CHECK(in.seen == trace{"1", "2", "3", "4", "5"});
    };
    run(body(), simulated());
}

TEST_CASE("COND-08, WF-16: a deadline ends the wait, with the mutex held") {
    auto const body = []() -> task<> {
        monitor in;
        auto guard = co_await in.m.lock();
        bool late = false;
        stopwatch const watch;
        try {
            co_await timeout(5ms, in.changed.wait(guard));
        } catch (timeout_error const&) {
            late = true;
        }
        CHECK(late);
        CHECK(watch.ms() == 5);
        CHECK(guard);
        CHECK(in.m.locked());
        CHECK(in.changed.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("COND-09: several conditions share one mutex, and one condition serves two mutexes") {
    auto const body = []() -> task<> {
        monitor in;
        magpie::mutex other;
        condition_variable second;
        auto const on = [](monitor& at, magpie::mutex& m, condition_variable& cv, std::string name) -> task<> {
            auto guard = co_await m.lock();
            co_await cv.wait(guard);
            CHECK(guard.owner() == &m);
            CHECK(m.locked());
            at.seen.push_back(name);
        };
        std::vector<join_handle<void>> t;
        t.push_back(spawn(on(in, in.m, in.changed, "a")));
        t.push_back(spawn(on(in, in.m, second, "b")));
        t.push_back(spawn(on(in, other, in.changed, "c")));
        co_await yields(2);
        second.notify_all();
        co_await yields(3);
        CHECK(in.seen == trace{"b"});
        in.changed.notify_all();
        co_await yields(3);
        CHECK(in.seen == trace{"b", "a", "c"});
    };
    run(body(), simulated());
}

TEST_CASE("COND-12: a notification whose task is cancelled before it has the mutex goes to the next one") {
    auto const body = []() -> task<> {
        monitor in;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(waits(in, name)));
        }
        co_await yields(2);
        auto guard = co_await in.m.lock();
        in.changed.notify_one();
        t[0].cancel();
        guard.unlock();
        co_await yields(6);
        CHECK(in.seen == trace{"1 cancelled", "2"});
        CHECK(in.changed.waiting() == 1);
        in.changed.notify_one();
        co_await yields(3);
        CHECK(in.seen == trace{"1 cancelled", "2", "3"});
    };
    run(body(), simulated());
}

TEST_CASE("COND-12: one that was told along with everybody, or not told at all, passes nothing on") {
    auto const body = []() -> task<> {
        monitor in;
        auto first = spawn(waits(in, "1"));
        co_await yields(2);
        auto guard = co_await in.m.lock();
        in.changed.notify_all();
        auto second = spawn(waits(in, "2"));
        guard.unlock();
        co_await yields(1);
        auto third = spawn(waits(in, "3"));
        co_await yields(3);
        CHECK(in.seen == trace{"1"});
        first = spawn(waits(in, "4"));
        co_await yields(2);
        guard = co_await in.m.lock();
        in.changed.notify_all();
        auto late = spawn(waits(in, "late"));
        second.cancel();
        third.cancel();
        guard.unlock();
        co_await yields(8);
        CHECK(in.seen == trace{"1", "2 cancelled", "3 cancelled", "4"});
        CHECK(in.changed.waiting() == 1);
        first = spawn(waits(in, "5"));
        co_await yields(2);
        late.cancel();
        co_await yields(4);
        CHECK(in.seen.back() == "late cancelled");
        CHECK(in.changed.waiting() == 1);
        in.changed.notify_one();
        co_await yields(3);
        CHECK(in.seen.back() == "5");
    };
    run(body(), simulated());
}

TEST_CASE("a request that is pending before the wait is delivered by it, and the mutex is never let go") {
    auto const body = []() -> task<> {
        monitor in;
        auto const self = [&]() -> task<> {
            auto guard = co_await in.m.lock();
            auto other = spawn(waits(in, "other"));
            co_await this_task::yield();
            this_task::cancel();
            bool cancelled = false;
            try {
                co_await in.changed.wait(guard);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            this_task::uncancel();
            CHECK(cancelled);
            CHECK(guard);
            CHECK(in.m.waiting() == 1);  // it has had no chance
            other.cancel();
            guard.unlock();
            co_await yields(2);
            CHECK(other.cancelled());
        };
        co_await self();
    };
    run(body(), simulated());
}

} // namespace
