#include <magpie/combinators/latch.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> waits(magpie::latch& l, trace& seen, std::string name) {
    co_await l.wait();
    seen.push_back(std::move(name));
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("latch: who waits goes on when the count is 0, in order; later nobody waits") {
    auto const body = []() -> task<> {
        magpie::latch l(3);
        trace seen;
        std::vector<join_handle<void>> t;
        for (char const* name : {"1", "2", "3"}) {
            t.push_back(spawn(waits(l, seen, name)));
        }
        co_await yields(2);
        l.count_down();
        l.count_down(0);
        CHECK(l.count() == 2);
        CHECK_FALSE(l.try_wait());
        co_await yields(2);
        CHECK(seen.empty());
        l.count_down(2);
        CHECK(l.try_wait());
        CHECK(seen.empty());  // queued, not run
        co_await waits(l, seen, "late");
        co_await yields(1);
        CHECK(seen == trace{"late", "1", "2", "3"});
    };
    run(body(), simulated());
}

TEST_CASE("latch: a count of 0 never blocks; a negative one, or one count too many, is an error") {
    auto const body = []() -> task<> {
        magpie::latch none(0);
        co_await none.wait();
        co_await none.arrive_and_wait(0);
        none.blocking_wait();
    };
    CHECK_THROWS_AS(run(body(), simulated()), usage_error);  // on a worker
    CHECK_THROWS_AS(magpie::latch(-1), std::invalid_argument);
    magpie::latch l(2);
    CHECK_THROWS_AS(l.count_down(-1), std::invalid_argument);
    CHECK_THROWS_AS(l.count_down(3), usage_error);
    CHECK(l.count() == 2);
    l.count_down(2);
    CHECK_THROWS_AS(l.count_down(), usage_error);
    l.blocking_wait();
    auto const arrives = [&]() -> task<> { co_await l.arrive_and_wait(); };
    CHECK_THROWS_AS(run(arrives(), simulated()), usage_error);
    CHECK(l.try_wait());
}

TEST_CASE("latch: arrive_and_wait counts when it is awaited, and the last one does not suspend") {
    auto const body = []() -> task<> {
        magpie::latch l(4);
        trace seen;
        auto const arrives = [&](std::string name, int n) -> task<> {
            co_await l.arrive_and_wait(n);
            seen.push_back(std::move(name));
        };
        auto unused = l.arrive_and_wait();
        (void)unused;
        CHECK(l.count() == 4);
        co_await gather(arrives("a", 1), arrives("b", 2), arrives("c", 1));
        CHECK(seen == trace{"c", "a", "b"});
    };
    run(body(), simulated());
}

TEST_CASE("latch: cancelling ends a wait; what was counted stays counted") {
    auto const body = []() -> task<> {
        magpie::latch l(3);
        trace seen;
        auto h = spawn(waits(l, seen, "never"));
        auto g = spawn(l.arrive_and_wait());
        co_await yields(2);
        h.cancel();
        g.cancel();
        co_await yields(2);
        CHECK(h.cancelled());
        CHECK(g.cancelled());
        CHECK(l.count() == 2);
        this_task::cancel();
        CHECK(co_await how(l.arrive_and_wait()) == "cancelled");
        CHECK(l.count() == 1);
        this_task::cancel();
        co_await l.arrive_and_wait();  // the last one: nothing to wait for
        this_task::uncancel();
        this_task::uncancel();
        CHECK(l.try_wait());
        CHECK(seen.empty());
    };
    run(body(), simulated());
}

TEST_CASE("latch: opened first, cancelled second: the wait returns, and the request stays pending") {
    auto const body = []() -> task<> {
        magpie::latch l(1);
        trace seen;
        auto const goes_on = [&]() -> task<> {
            co_await waits(l, seen, "through");
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto h = spawn(goes_on());
        co_await yields(2);
        l.count_down();
        h.cancel();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(seen == trace{"through"});
    };
    run(body(), simulated());
}

TEST_CASE("latch: foreign threads count down and wait, tasks do, and whoever is through may destroy it") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(400); ++i) {
            auto* const l = new magpie::latch(4);
            std::atomic<int> through{0};
            auto const last_deletes = [&] {
                if (through.fetch_add(1) == 0) {
                    delete l;
                }
            };
            auto const arrives = [&]() -> task<> {
                co_await l->arrive_and_wait();
                last_deletes();
            };
            auto a = rt.spawn(arrives());
            auto b = rt.spawn(arrives());
            std::thread counts([&] { l->count_down(2); });
            counts.join();
            a.blocking_wait();
            b.blocking_wait();
            CHECK(through == 2);
        }
    }
}

TEST_CASE("latch: a foreign thread is let through by tasks") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(500); ++i) {
            magpie::latch l(3);
            std::atomic<int> counted{0};
            auto const counts = [&]() -> task<> {
                co_await this_task::yield();
                counted.fetch_add(1);
                l.count_down();
            };
            for (int k = 0; k < 3; ++k) {
                rt.spawn(counts()).detach();
            }
            l.blocking_wait();
            CHECK(counted == 3);
        }
    }
}

TEST_CASE("latch: cancellations race with the last count") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned i = 0; i < rounds(2000); ++i) {
                magpie::latch l(2);
                std::atomic<int> through{0};
                auto const passes = [&]() -> task<> {
                    co_await l.wait();
                    through.fetch_add(1);
                };
                auto const counts = [&]() -> task<> {
                    l.count_down();
                    co_return;
                };
                auto victim = spawn(passes());
                auto other = spawn(passes());
                auto a = spawn(counts());
                auto b = spawn(counts());
                victim.cancel();
                bool cancelled = false;
                try {
                    co_await victim;
                } catch (child_cancelled const&) {
                    cancelled = true;
                }
                co_await std::move(other);
                co_await std::move(a);
                co_await std::move(b);
                CHECK(through == (cancelled ? 1 : 2));
            }
        };
        rt.block_on(body());
    }
}

} // namespace
