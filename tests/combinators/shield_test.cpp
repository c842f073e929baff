// shield() and shielded(): the SH rows.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("SH-01, SH-04: without a cancellation shield is transparent, for tasks that have ended too") {
    auto const body = []() -> task<> {
        auto h = spawn(after(5ms, std::string("value")));
        std::string& reference = co_await shield(h);
        CHECK(&reference == &co_await h);
        stopwatch const watch;
        std::string& again = co_await shield(h);
        CHECK(&again == &reference);
        CHECK(watch.ms() == 0);
        auto p = co_await shield(spawn(after(1ms, std::make_unique<int>(3))));
        CHECK(*p == 3);
        auto const s = spawn(after(1ms, 4)).share();
        int const& shared = co_await shield(s);
        CHECK(shared == 4);
        auto v = spawn(nap(1ms));
        co_await shield(v);
        bool thrown = false;
        try {
            co_await shield(spawn(fails_after(1ms, "error")));
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
    };
    run(body(), simulated());
}

TEST_CASE("SH-02: a task that others cancel is child_cancelled to the awaiter, who is not cancelled") {
    auto const body = []() -> task<> {
        auto h = spawn(nap(1h));
        auto ref = h.ref();
        auto canceller = [&]() -> task<> {
            co_await sleep(1ms);
            ref.cancel();
        };
        auto c = spawn(canceller());
        bool thrown = false;
        try {
            co_await shield(h);
        } catch (child_cancelled const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(this_task::cancelling() == 0);
        co_await std::move(c);
    };
    run(body(), simulated());
}

TEST_CASE("SH-03, SH-05: cancelling the awaiter ends it at once; the task goes on to its end") {
    auto const body = []() -> task<> {
        trace seen;
        auto h = spawn(cleans_up(seen, "inner", 10ms, 1h));
        auto waits = [&]() -> task<> { co_await shield(h); };
        auto w = spawn(waits());
        co_await sleep(1ms);
        w.cancel();
        co_await sleep(1ms);
        CHECK(w.cancelled());
        CHECK_FALSE(h.done());
        int const one = co_await h;
        CHECK(one == 1);
        CHECK(seen == trace{"inner ended"});
    };
    run(body(), simulated());
}

TEST_CASE("SH-06, SH-07, SH-10: with the handle moved in: a late result is destroyed, a late error reported, once") {
    tally objects;
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    bool ended = false;
    auto const body = [&]() -> task<> {
        auto makes = [&]() -> task<token> {
            co_await sleep(10ms);
            ended = true;
            co_return token(objects);
        };
        auto waits = [&]() -> task<> { (void)co_await shield(spawn(makes())); };
        auto fails = [&]() -> task<> { co_await shield(spawn(fails_after(10ms, "late"))); };
        auto w = spawn(waits());
        auto f = spawn(fails());
        co_await sleep(1ms);
        w.cancel();
        f.cancel();
        co_await sleep(1ms);
        CHECK(w.cancelled());
        CHECK(f.cancelled());
        co_await sleep(20ms);
        CHECK(ended);
        CHECK(objects.made == 1);
        CHECK(objects.alive == 0);
    };
    run(body(), c);
    CHECK(unhandled.size() == 1);
}

TEST_CASE("SH-08: two shields on one task that fails after both were cancelled: one report") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = [&]() -> task<> {
        auto s = spawn(fails_after(10ms, "late")).share();
        auto a = spawn(shield(s));
        auto b = spawn(shield(s));
        s = {};
        co_await sleep(1ms);
        a.cancel();
        b.cancel();
        co_await sleep(20ms);
        CHECK((a.cancelled() && b.cancelled()));
    };
    run(body(), c);
    CHECK(unhandled.size() == 1);
}

TEST_CASE("SH-12: shielded: a request waits for the end, the value is given, the next suspension delivers") {
    auto const body = []() -> task<> {
        trace seen;
        auto owner = [&]() -> task<> {
            int const n = co_await shielded(after(10ms, 5));
            seen.push_back("value " + std::to_string(n) + ", cancelling " + std::to_string(this_task::cancelling()));
            co_await sleep(1h);
            seen.emplace_back("NOT REACHED");
        };
        stopwatch const watch;
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        h.cancel();
        co_await wait_for(h);
        CHECK(watch.ms() == 10);
        CHECK(seen == trace{"value 5, cancelling 2"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("SH-12: shields nest; errors pass; references and void too") {
    auto const body = []() -> task<> {
        int variable = 1;
        auto refers = [&]() -> task<int&> { co_return variable; };
        int& r = co_await shielded(refers());
        CHECK(&r == &variable);
        co_await shielded(sleep(1ms));
        bool thrown = false;
        try {
            co_await shielded(fails_after(1ms, "error"));
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
        trace seen;
        auto inner = [&]() -> task<> {
            co_await shielded(nap(5ms));
            co_await sleep(5ms);  // still inside the outer shield
            seen.emplace_back("outer end");
        };
        auto owner = [&]() -> task<> {
            co_await shielded(inner());
            co_await sleep(1h);
            seen.emplace_back("NOT REACHED");
        };
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(seen == trace{"outer end"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("inside a shield timeouts and gathers work as ever, also after a request from outside") {
    auto const body = []() -> task<> {
        trace seen;
        auto inner = [&]() -> task<> {
            co_await sleep(2ms);
            try {
                co_await timeout(3ms, gather(nap(1h), nap(1h)));
            } catch (timeout_error const&) {
                seen.emplace_back("timeout");
            }
        };
        auto owner = [&]() -> task<> { co_await shielded(inner()); };
        stopwatch const watch;
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(watch.ms() == 5);
        CHECK(seen == trace{"timeout"});
        CHECK_FALSE(h.cancelled());  // it ended without another suspension
    };
    run(body(), simulated());
}

TEST_CASE("a shield is entered also with a request pending") {
    auto const body = []() -> task<> {
        trace seen;
        auto owner = [&]() -> task<> {
            this_task::cancel();
            co_await shielded(says(seen, "ran"));
            co_await sleep(1h);
        };
        auto h = spawn(owner());
        co_await wait_for(h);
        CHECK(seen == trace{"ran"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("several workers: the task's end and the awaiter's cancellation race") {
    tally objects;
    runtime rt(threads(4));
    auto makes = [&](unsigned yields) -> task<token> {
        for (unsigned i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        co_return token(objects);
    };
    auto waits = [&](unsigned yields) -> task<> { (void)co_await shield(spawn(makes(yields))); };
    auto defers = [&](unsigned yields) -> task<int> {
        (void)co_await shielded(makes(yields));
        co_return 1;
    };
    for (unsigned i = 0; i < rounds(2000); ++i) {
        auto w = rt.spawn(waits(i % 5));
        auto d = rt.spawn(defers(i % 5));
        some_moments(i % 24);
        w.cancel();
        d.cancel();
        w.blocking_wait();
        d.blocking_wait();
    }
    until([&] { return objects.alive == 0; });  // the worker's reference may be the last
}

}  // namespace
