// gather: packs, errors and cancellation. Ranges are in gather_range_test.cpp.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

using pack = decltype(gather(after(1ms, 1), nap(1ms)));
static_assert(!std::is_copy_constructible_v<pack> && std::is_move_constructible_v<pack>);
static_assert(awaitable<pack>);
static_assert(std::is_same_v<await_result_t<pack>, std::tuple<int, std::monostate>>);
static_assert(std::is_same_v<await_result_t<decltype(gather())>, std::tuple<>>);

TEST_CASE("GATHER-01, GATHER-29: results come in argument order, whatever the order of the ends") {
    auto const body = [](bool exact) -> task<> {
        stopwatch const watch;
        auto [a, b, c] = co_await gather(after(30ms, std::string("a")), after(10ms, std::string("b")),
                                         after(20ms, std::string("c")));
        CHECK(a + b + c == "abc");
        CHECK((!exact || watch.ms() == 30));  // GATHER-29: the longest, not the sum
    };
    run(body(true), simulated());
    run(body(false), threads(1));
    run(body(false), threads(4));
}

TEST_CASE("GATHER-28: under the simulated clock children start in argument order, after the gather has suspended") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto g = gather(says(seen, "1"), says(seen, "2"), says(seen, "3"));
        seen.emplace_back("lazy");
        co_await std::move(g);
        CHECK(seen == trace{"lazy", "1", "2", "3"});
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-07: gather of nothing completes at once") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto other = spawn(says(seen, "other"));
        std::tuple<> const nothing = co_await gather();
        (void)nothing;
        std::tuple<> const settled_nothing = co_await gather(settled);
        (void)settled_nothing;
        seen.emplace_back("first");
        co_await std::move(other);
        CHECK(seen == trace{"first", "other"});
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-02, GATHER-06: settled: all run to their ends, errors are outcomes at their index") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto o =
            co_await gather(settled, after(30ms, 3), fails_after(10ms, "one"), after(5ms, 1), fails_after(20ms, "two"));
        CHECK(watch.ms() == 30);
        CHECK(std::get<0>(o).value() == 3);
        CHECK_THROWS_WITH_AS(std::get<1>(o).value(), "one", oops);
        CHECK(std::get<2>(o).value() == 1);
        CHECK_THROWS_WITH_AS(std::get<3>(o).value(), "two", oops);
    };
    run(body(), simulated());
}

TEST_CASE(
    "GATHER-03, GATHER-04, GATHER-05, BEY-04: the first error cancels the siblings, and comes when they have ended") {
    trace seen;
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        bool thrown = false;
        try {
            co_await gather(cleans_up(seen, "a", 1h, 20ms), fails_after(10ms, "first"), cleans_up(seen, "b", 5ms, 1h),
                            cleans_up(seen, "c", 1h, 30ms));
        } catch (oops const& e) {
            thrown = true;
            CHECK(std::string(e.what()) == "first");
        }
        CHECK(thrown);
        CHECK(watch.ms() == 40);
        CHECK(seen == trace{"b ended", "a cancelled", "c cancelled", "a cleaned", "c cleaned"});
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-04: a sibling that has not started never starts, and its arguments are destroyed") {
    tally objects;
    trace seen;
    auto const fails = []() -> task<> {
        throw oops("at once");
        co_return;
    };
    auto const never = [](trace& into, token) -> task<> {
        into.emplace_back("ran");
        co_return;
    };
    auto const body = [&]() -> task<> {
        auto g = gather(fails(), never(seen, token(objects)), never(seen, token(objects)));
        CHECK(objects.alive == 2);
        bool thrown = false;
        try {
            co_await std::move(g);
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(objects.alive == 0);
    };
    run(body(), simulated());
    run(body(), threads(1));
    CHECK(seen.empty());
}

TEST_CASE("GATHER-05: children's frames are gone before the parent goes on") {
    tally objects;
    auto const holds = [](token, duration d) -> task<> { co_await sleep(d); };
    auto const body = [&]() -> task<> {
        co_await gather(holds(token(objects), 1ms), holds(token(objects), 2ms));
        CHECK(objects.alive == 0);
    };
    run(body(), simulated());
    run(body(), threads(2));
}

TEST_CASE("GATHER-11: a child that is cancelled individually fails the gather with child_cancelled") {
    trace seen;
    auto const cancels_itself = []() -> task<int> {
        co_await sleep(5ms);
        this_task::cancel();
        co_await sleep(1h);
        co_return 1;
    };
    auto const body = [&]() -> task<> {
        bool thrown = false;
        try {
            co_await gather(cancels_itself(), cleans_up(seen, "sibling", 1h, 1ms));
        } catch (child_cancelled const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(this_task::cancelling() == 0);
        CHECK(seen == trace{"sibling cancelled", "sibling cleaned"});
        co_await sleep(1ms);  // nothing is pending
        // The same through a handle.
        auto h = spawn(nap(1h));
        co_await this_task::yield();
        h.cancel();
        thrown = false;
        try {
            co_await gather(std::move(h), nap(1h));
        } catch (child_cancelled const&) {
            thrown = true;
        }
        CHECK(thrown);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-12: under settled it is a cancelled outcome at its index") {
    auto const cancels_itself = []() -> task<int> {
        this_task::cancel();
        co_await sleep(1h);
        co_return 1;
    };
    auto const body = [&]() -> task<> {
        auto h = spawn(after(1h, 5));
        auto kept = spawn(after(1h, 5));
        co_await this_task::yield();
        h.cancel();
        kept.cancel();
        auto o = co_await gather(settled, cancels_itself(), after(1ms, 1), std::move(h), kept);
        CHECK(std::get<0>(o).cancelled());
        CHECK(std::get<1>(o).value() == 1);
        CHECK(std::get<2>(o).cancelled());
        CHECK(std::get<3>(o).cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-14: cancelling who awaits cancels every child once") {
    int a = 0;
    int b = 0;
    auto const once = [](int& deliveries) -> task<int> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            ++deliveries;
            throw;
        }
        co_return 0;
    };
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        auto h = spawn(gather(once(a), once(b)));
        co_await sleep(5ms);
        CHECK(h.cancel());
        bool thrown = false;
        try {
            co_await std::move(h);
        } catch (child_cancelled const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(watch.ms() == 5);
        CHECK((a == 1 && b == 1));
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-15: a request that comes when all children have ended finds the results") {
    auto const outer = [](bool& value, bool& interrupted) -> task<> {
        auto [a, b] = co_await gather(after(5ms, 1), after(5ms, 2));
        value = a + b == 3;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            interrupted = true;
            throw;
        }
    };
    auto const body = [&]() -> task<> {
        bool value = false;
        bool interrupted = false;
        auto h = spawn(outer(value, interrupted));
        co_await this_task::yield();  // it runs, and
        co_await this_task::yield();  // its children too: their timers come before ours
        co_await sleep(5ms);
        CHECK_FALSE(value);
        h.cancel();
        co_await sleep(1ms);
        CHECK(value);
        CHECK(interrupted);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-16, GATHER-17: one's own cancellation beats settled, and values that children give in spite of it") {
    int deliveries = 0;
    auto const body = [&]() -> task<> {
        auto a = spawn(gather(settled, nap(1h), resists(deliveries, 1, 1h)));
        auto b = spawn(gather(resists(deliveries, 1, 1h), resists(deliveries, 1, 1h)));
        co_await sleep(1ms);
        a.cancel();
        b.cancel();
        co_await sleep(1ms);
        CHECK(a.cancelled());
        CHECK(b.cancelled());
        CHECK(deliveries == 3);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-18: a child's error beats one's own cancellation, which stays pending") {
    auto const throws_instead = []() -> task<> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            throw oops("while unwinding");
        }
    };
    auto const outer = [&](trace& seen) -> task<> {
        try {
            co_await gather(nap(1h), throws_instead());
        } catch (oops const&) {
            seen.push_back("oops " + std::to_string(this_task::cancelling()));
        }
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            seen.emplace_back("cancelled");
            throw;
        }
    };
    auto const body = [&]() -> task<> {
        trace seen;
        auto h = spawn(outer(seen));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(seen == trace{"oops 1", "cancelled"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("a second request reaches the children again, and one that is pending at the start starts none") {
    int deliveries = 0;
    trace seen;
    auto const refused = [&]() -> task<> {
        this_task::cancel();
        co_await gather(says(seen, "ran"), says(seen, "ran"));
    };
    auto const body = [&]() -> task<> {
        auto h = spawn(gather(resists(deliveries, 2, 1h)));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(deliveries == 1);
        CHECK_FALSE(h.done());
        h.cancel();
        co_await sleep(1ms);
        CHECK(deliveries == 2);
        CHECK(h.cancelled());
        auto r = spawn(refused());
        co_await sleep(1ms);
        CHECK(r.cancelled());
        CHECK(seen.empty());
    };
    run(body(), simulated());
}

TEST_CASE(
    "GATHER-20, GATHER-21: of two errors in one tick the first in the list wins, the other goes to on_suppressed") {
    event_log suppressed;
    event_log unhandled;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = []() -> task<> {
        std::string what;
        try {
            co_await gather(fails_after(5ms, "first"), fails_after(5ms, "second"));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "first");
    };
    run(body(), c);
    REQUIRE(suppressed.size() == 1);
    CHECK(suppressed.entries()[0].error.find("second") != std::string::npos);
    CHECK(unhandled.size() == 0);
}

TEST_CASE("cancelled siblings are no errors: nothing is reported") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = []() -> task<> {
        bool thrown = false;
        try {
            co_await gather(fails_after(5ms, "first"), nap(1h), nap(1h));
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
    };
    run(body(), c);
    CHECK(suppressed.size() == 0);
}

TEST_CASE("wait_all: nobody is cancelled; the first error is thrown when all have ended") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        std::string what;
        try {
            co_await gather(wait_all, cleans_up(seen, "a", 20ms, 1h), fails_after(5ms, "first"),
                            fails_after(10ms, "later"));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "first");
        CHECK(watch.ms() == 20);
        CHECK(seen == trace{"a ended"});
        auto [x, y] = co_await gather(wait_all, after(1ms, 1), after(1ms, 2));
        CHECK(x + y == 3);
    };
    run(body(), c);
    CHECK(suppressed.size() == 1);
}

}  // namespace
