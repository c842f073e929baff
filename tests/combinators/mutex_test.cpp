#include <magpie/combinators/mutex.hpp>

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

task<> locks(magpie::mutex& m, trace& seen, std::string name) {
    auto const guard = co_await m.lock();
    seen.push_back(std::move(name));
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("LOCK-01, LOCK-08: a guard holds the mutex as long as it lives") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        CHECK_FALSE(m.locked());
        {
            auto const guard = co_await m.lock();
            CHECK(guard);
            CHECK(m.locked());
            CHECK_FALSE(m.try_lock());
        }
        CHECK_FALSE(m.locked());
        auto const again = m.try_lock();
        CHECK(again);
        CHECK(again.owner() == &m);
    };
    run(body(), simulated());
}

TEST_CASE("LOCK-02: handed over in the order of the waiting, without anybody overtaking") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        trace seen;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(locks(m, seen, name)));
        }
        co_await yields(2);
        CHECK(m.waiting() == 3);
        guard.unlock();
        CHECK_FALSE(m.try_lock());  // the first waiter has it, though it has not run yet
        co_await locks(m, seen, "late");
        CHECK(seen == trace{"1", "2", "3", "late"});
        CHECK_FALSE(m.locked());
    };
    run(body(), simulated());
}

TEST_CASE("LOCK-03, LOCK-04, LOCK-05: a cancelled waiter is passed over, whether before or after the unlock") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        trace seen;
        auto first = spawn(locks(m, seen, "1"));
        auto second = spawn(locks(m, seen, "2"));
        co_await yields(2);
        first.cancel();
        guard.unlock();
        co_await yields(3);
        CHECK(first.cancelled());
        CHECK(second.done());
        CHECK(seen == trace{"2"});
        CHECK_FALSE(m.locked());
        CHECK(m.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("a lone waiter that is cancelled leaves a mutex that still unlocks") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        trace seen;
        auto only = spawn(locks(m, seen, "only"));
        co_await yields(2);
        only.cancel();
        co_await yields(2);
        CHECK(only.cancelled());
        guard.unlock();
        CHECK_FALSE(m.locked());
        CHECK(m.try_lock());
    };
    run(body(), simulated());
}

TEST_CASE("LOCK-06: handed over first, cancelled second: the task has the mutex, the request stays pending") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        trace seen;
        auto const waits = [&]() -> task<> {
            auto const own = co_await m.lock();
            seen.push_back("owns");
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto h = spawn(waits());
        auto next = spawn(locks(m, seen, "next"));
        co_await yields(2);
        guard.unlock();
        h.cancel();
        co_await std::move(next);
        CHECK(h.cancelled());
        CHECK(seen == trace{"owns", "next"});
    };
    run(body(), simulated());
}

TEST_CASE("LOCK-07: unlocking what is not locked is an error") {
    magpie::mutex m;
    CHECK_THROWS_AS(m.unlock(), usage_error);
    mutex_guard empty;
    CHECK_THROWS_AS(empty.unlock(), usage_error);
    mutex_guard guard = m.try_lock();
    guard.unlock();
    CHECK_FALSE(guard);
    CHECK_THROWS_AS(guard.unlock(), usage_error);
    CHECK_FALSE(m.locked());
}

TEST_CASE("a guard can be moved, assigned to, and released") {
    magpie::mutex a;
    magpie::mutex b;
    mutex_guard one = a.try_lock();
    mutex_guard two = std::move(one);
    CHECK_FALSE(one);
    CHECK(a.locked());
    two = b.try_lock();
    CHECK_FALSE(a.locked());
    CHECK(b.locked());
    CHECK(two.release() == &b);
    CHECK(b.locked());
    b.unlock();
    CHECK_FALSE(b.locked());
}

TEST_CASE("LOCK-10: a task that locks what it holds is told") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto const guard = co_await m.lock();
        bool told = false;
        try {
            auto const again = co_await m.lock();
        } catch (usage_error const&) {
            told = true;
        }
        CHECK(told);
        CHECK(m.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("a guard that was moved to another task may be waited for") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        trace seen;
        auto const keeps = [&](mutex_guard own) -> task<> {
            co_await sleep(1ms);
            seen.push_back("keeper");
            own.unlock();
        };
        auto h = spawn(keeps(std::move(guard)));
        co_await locks(m, seen, "waiter");
        CHECK(seen == trace{"keeper", "waiter"});
        co_await std::move(h);
    };
    run(body(), simulated());
}

TEST_CASE("LOCK-11: unlocking resumes nobody: a hundred thousand waiters need no stack") {
    auto const body = []() -> task<> {
        magpie::mutex m;
        auto guard = co_await m.lock();
        int count = 0;
        auto const counts = [&]() -> task<> {
            auto const own = co_await m.lock();
            ++count;
        };
        for (int i = 0; i < 100'000; ++i) {
            spawn_detached(counts());
        }
        co_await yields(2);
        guard.unlock();
        CHECK(count == 0);
        auto const last = co_await m.lock();
        CHECK(count == 100'000);
    };
    run(body(), simulated());
}

} // namespace
