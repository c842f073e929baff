#include <magpie/combinators/semaphore.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Takes `k` permits, says so, and keeps them for good.
task<> takes(semaphore& s, trace& seen, std::string name, int k = 1) {
    auto p = co_await s.acquire(k);
    seen.push_back(std::move(name));
    p.forget();
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("SEM-01: with 0 permits nobody passes; a negative number is refused") {
    CHECK_THROWS_AS(semaphore(-1), std::invalid_argument);
    CHECK_THROWS_AS(semaphore(semaphore::max() + 1), std::invalid_argument);
    CHECK(semaphore(semaphore::max()).available() == semaphore::max());
    semaphore s(0);
    CHECK_FALSE(s.try_acquire());
    CHECK_THROWS_AS((void)s.try_acquire(-1), std::invalid_argument);
    CHECK_THROWS_AS(s.release(-1), std::invalid_argument);
}

TEST_CASE("SEM-02: permits are counted, given back by their destructor, and two releases wake exactly two") {
    auto const body = []() -> task<> {
        semaphore s(3);
        auto a = co_await s.acquire();
        auto b = co_await s.acquire();
        CHECK(s.available() == 1);
        auto c = co_await s.acquire();
        CHECK(s.available() == 0);
        trace seen;
        std::vector<join_handle<void>> waiting;
        for (char const* name : {"1", "2", "3"}) {
            waiting.push_back(spawn(takes(s, seen, name)));
        }
        co_await yields(2);
        CHECK(s.waiting() == 3);
        {
            permit const given_back = std::move(a);
        }
        b.release();
        CHECK_FALSE(b);
        co_await yields(2);
        CHECK(seen == trace{"1", "2"});
        CHECK(s.waiting() == 1);
        c.release();
        co_await std::move(waiting[2]);
        CHECK(seen == trace{"1", "2", "3"});
        for (auto& each : waiting) {
            CHECK(each.valid() == (&each != &waiting[2]));
            each.detach();
        }
        s.release(3);
    };
    run(body(), simulated());
}

TEST_CASE("a permit can be moved, forgotten and assigned to") {
    semaphore s(3);
    permit a = s.try_acquire(2);
    CHECK(a.count() == 2);
    permit b = std::move(a);
    CHECK_FALSE(a);
    CHECK(s.available() == 1);
    b = s.try_acquire();
    CHECK(s.available() == 2);  // the two that b held are back
    b.forget();
    CHECK_FALSE(b);
    CHECK(s.available() == 2);
    s.release();
    CHECK(s.available() == 3);
    permit const nothing = s.try_acquire(0);
    CHECK(s.available() == 3);
}

TEST_CASE("SEM-03, SEM-05: a cancelled waiter leaves no node; the one behind it is served") {
    auto const body = []() -> task<> {
        semaphore s(1);
        auto held = co_await s.acquire();
        trace seen;
        auto first = spawn(takes(s, seen, "1"));
        auto second = spawn(takes(s, seen, "2"));
        co_await yields(2);
        first.cancel();
        held.release();
        co_await yields(3);
        CHECK(first.cancelled());
        CHECK(second.done());
        CHECK(seen == trace{"2"});
        CHECK(s.waiting() == 0);
        CHECK(s.available() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("SEM-04: two of three waiters are cancelled, one release: the third gets it, nobody else") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3", "4"}) {
            t.push_back(spawn(takes(s, seen, name)));
        }
        co_await yields(2);
        t[0].cancel();
        t[1].cancel();
        s.release();
        co_await yields(3);
        CHECK(seen == trace{"3"});
        CHECK_FALSE(t[3].done());
        s.release();
        co_await std::move(t[3]);
    };
    run(body(), simulated());
}

TEST_CASE("SEM-06: granted first, cancelled second: the permit is the waiter's and the request stays pending") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        auto const waits = [&]() -> task<> {
            auto p = co_await s.acquire();
            seen.push_back("granted");
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto h = spawn(waits());
        co_await yields(2);
        s.release();
        h.cancel();
        co_await yields(4);
        CHECK(h.cancelled());
        CHECK(seen == trace{"granted"});
        CHECK(s.available() == 1);  // not lost
    };
    run(body(), simulated());
}

TEST_CASE("a request that is pending when the wait begins is delivered; a permit that is there is not refused") {
    auto const body = []() -> task<> {
        semaphore s(1);
        this_task::cancel();
        auto p = co_await s.acquire();  // ready: delivers nothing (D8)
        CHECK(p.count() == 1);
        bool delivered = false;
        try {
            auto never = co_await s.acquire();
        } catch (task_cancelled const&) {
            delivered = true;
        }
        this_task::uncancel();
        CHECK(delivered);
        CHECK(s.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("SEM-07: a bounded semaphore refuses a surplus release and keeps its value") {
    bounded_semaphore s(2);
    CHECK_THROWS_AS(s.release(), std::logic_error);
    CHECK(s.available() == 2);
    auto p = s.try_acquire();
    CHECK_THROWS_AS(s.release(2), std::logic_error);
    CHECK(s.available() == 1);
    p.forget();
    s.release();
    CHECK(s.available() == 2);
}

TEST_CASE("SEM-08: a release without waiters raises the value, also above the limit") {
    semaphore s(1);
    s.release(2);
    CHECK(s.available() == 3);
    CHECK(s.limit() == 1);
    semaphore full(semaphore::max());
    CHECK_THROWS_AS(full.release(), std::logic_error);
    CHECK(full.available() == semaphore::max());
}

TEST_CASE("SEM-09: strict order among waiters that come back") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        auto const twice = [&](std::string name) -> task<> {
            co_await takes(s, seen, name + "_1");
            co_await takes(s, seen, name + "_2");
        };
        std::vector<join_handle<void>> t;
        for (char const* name : {"c1", "c2", "c3"}) {
            t.push_back(spawn(twice(name)));
        }
        co_await yields(2);
        for (int i = 0; i < 6; ++i) {
            s.release();
            co_await yields(2);  // who has taken it queues up again, at the back
        }
        for (auto& each : t) {
            co_await std::move(each);
        }
        CHECK(seen == trace{"c1_1", "c2_1", "c3_1", "c1_2", "c2_2", "c3_2"});
    };
    run(body(), simulated());
}

TEST_CASE("SEM-10, SEM-13: nobody overtakes a waiter: a freed permit is reserved for it") {
    auto const body = []() -> task<> {
        semaphore s(1);
        auto held = co_await s.acquire();
        trace seen;
        auto h = spawn(takes(s, seen, "waiter"));
        co_await yields(2);
        held.release();
        CHECK_FALSE(s.try_acquire());  // the waiter has not run yet
        CHECK(s.available() == 0);
        co_await std::move(h);
        CHECK(seen == trace{"waiter"});
    };
    run(body(), simulated());
}

TEST_CASE("SEM-11: a cancelled first waiter does not disturb the order of the rest") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(takes(s, seen, name)));
        }
        co_await yields(2);
        t[0].cancel();
        co_await yields(2);
        s.release(2);
        co_await yields(2);
        CHECK(seen == trace{"2", "3"});
    };
    run(body(), simulated());
}

TEST_CASE("SEM-12: three releases wake three in order; a task made by the first runs after them") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        auto const first = [&]() -> task<> {
            co_await takes(s, seen, "1");
            spawn_detached(says(seen, "4"));
        };
        auto a = spawn(first());
        auto b = spawn(takes(s, seen, "2"));
        auto c = spawn(takes(s, seen, "3"));
        co_await yields(2);
        s.release();
        s.release();
        s.release();
        co_await yields(3);
        CHECK(seen == trace{"1", "2", "3", "4"});
    };
    run(body(), simulated());
}

TEST_CASE("SEM-18: permits that were freed before and after new waiters came wake as many as they are") {
    auto const body = []() -> task<> {
        semaphore s(0);
        trace seen;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2"}) {
            t.push_back(spawn(takes(s, seen, name)));
        }
        co_await yields(2);
        s.release(3);  // one more than wait
        for (char const* name : {"3", "4", "5"}) {
            t.push_back(spawn(takes(s, seen, name)));
        }
        s.release();
        CHECK(s.available() == 2);
        co_await yields(3);
        CHECK(seen == trace{"1", "2", "3", "4"});
        CHECK(s.waiting() == 1);
        t[4].cancel();
        s.release();  // the fifth has gone: nobody is woken, and the permit is there
        co_await yields(2);
        CHECK(seen.size() == 4);
        CHECK(s.available() == 1);
        CHECK(s.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-24: a large request is not starved by small ones, and its cancellation lets them through") {
    auto const body = []() -> task<> {
        semaphore s(3);
        auto held = co_await s.acquire(2);
        trace seen;
        auto large = spawn(takes(s, seen, "large", 3));
        auto small = spawn(takes(s, seen, "small"));
        co_await yields(2);
        CHECK(seen.empty());  // one permit is free, but `large` is first
        CHECK_FALSE(s.try_acquire());
        SUBCASE("it is served first") {
            held.release();
            co_await yields(2);
            CHECK(seen == trace{"large"});
            s.release(3);
        }
        SUBCASE("it gives up") {
            large.cancel();
            co_await yields(2);
            CHECK(seen == trace{"small"});
        }
        co_await yields(2);
        CHECK(small.done());
    };
    run(body(), simulated());
}

TEST_CASE("resize: more permits let waiters through, fewer hold everybody up until enough came back") {
    auto const body = []() -> task<> {
        semaphore s(1);
        auto a = co_await s.acquire();
        trace seen;
        auto h = spawn(takes(s, seen, "waiter", 2));
        co_await yields(2);
        s.resize(3);
        CHECK(s.limit() == 3);
        co_await yields(2);
        CHECK(seen == trace{"waiter"});
        s.resize(1);  // three are out
        CHECK(s.available() == 0);
        a.release();
        CHECK_FALSE(s.try_acquire());
        s.release();  // of the waiter's two
        CHECK_FALSE(s.try_acquire());
        s.release();
        CHECK(s.available() == 1);
        CHECK_THROWS_AS(s.resize(-1), std::invalid_argument);
        CHECK(s.limit() == 1);
        s.resize(0);
        CHECK_FALSE(s.try_acquire());
    };
    run(body(), simulated());
}

TEST_CASE("what can never go on is named") {
    auto const body = []() -> task<> {
        semaphore s(0);
        auto p = co_await s.acquire();
    };
    try {
        run(body(), simulated());
        FAIL("no deadlock_error");
    } catch (deadlock_error const& e) {
        CHECK(std::string(e.what()).find("semaphore") != std::string::npos);
    }
}

} // namespace
