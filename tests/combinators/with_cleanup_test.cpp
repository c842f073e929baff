// with_cleanup(): CAN-32, BEY-13.

#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/with_cleanup.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("CAN-32: the cleanup runs on every exit, after the body; value or error is the body's") {
    auto const body = []() -> task<> {
        trace seen;
        auto cleanup = [&](std::string name) -> task<> {
            co_await sleep(1ms);
            seen.push_back(std::move(name));
        };
        auto p = co_await with_cleanup(after(1ms, std::make_unique<int>(3)), cleanup, std::string("value"));
        CHECK(*p == 3);
        co_await with_cleanup(nap(1ms), cleanup, std::string("void"));
        int variable = 1;
        auto refers = [&]() -> task<int&> { co_return variable; };
        int& r = co_await with_cleanup(refers(), cleanup, std::string("reference"));
        CHECK(&r == &variable);
        std::string what;
        try {
            co_await with_cleanup(fails_after(1ms, "body"), cleanup, std::string("error"));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "body");
        int plain = 0;
        int const n = co_await with_cleanup(after(1ms, 4), [&] { ++plain; });
        CHECK((n == 4 && plain == 1));
        CHECK(seen == trace{"value", "void", "reference", "error"});
    };
    run(body(), simulated());
}

TEST_CASE("CAN-32: the cleanup of a cancelled body is not interrupted, and the cancellation goes on after it") {
    auto const body = []() -> task<> {
        trace seen;
        auto cleanup = [&]() -> task<> {
            seen.emplace_back("begins");
            co_await sleep(10ms);
            seen.emplace_back("ends");
        };
        auto owner = [&]() -> task<> {
            co_await with_cleanup(nap(1h), cleanup);
            seen.emplace_back("NOT REACHED");
        };
        stopwatch const watch;
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        h.cancel();  // a second request, during the cleanup
        co_await wait_for(h);
        CHECK(watch.ms() == 11);
        CHECK(seen == trace{"begins", "ends"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("CAN-32: a request that comes during the cleanup of a body that has ended is delivered afterwards") {
    auto const body = []() -> task<> {
        trace seen;
        auto owner = [&]() -> task<> {
            int const n = co_await with_cleanup(after(1ms, 7), [&] { return nap(10ms); });
            seen.push_back(std::to_string(n));
            co_await sleep(1h);
        };
        auto h = spawn(owner());
        co_await sleep(5ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(seen == trace{"7"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("what the cleanup throws replaces what the body threw, which is reported") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = []() -> task<> {
        auto fails = []() -> task<> { co_await fails_after(1ms, "cleanup"); };
        std::string what;
        try {
            co_await with_cleanup(fails_after(1ms, "body"), fails);
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "cleanup");
        what.clear();
        try {
            co_await with_cleanup(after(1ms, 1), [] { throw oops("plain"); });
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "plain");
    };
    run(body(), c);
    REQUIRE(suppressed.size() == 1);
    CHECK(suppressed.entries()[0].error.find("body") != std::string::npos);
}

TEST_CASE("BEY-13: a timeout bounds a cleanup, and a timeout around everything waits for it") {
    auto const body = []() -> task<> {
        trace seen;
        auto hangs = [&]() -> task<> {
            try {
                co_await timeout(5ms, nap(1h));
            } catch (timeout_error const&) {
                seen.emplace_back("gave up");
            }
        };
        stopwatch const watch;
        try {
            co_await timeout(10ms, with_cleanup(nap(1h), hangs));
        } catch (timeout_error const&) {
            seen.emplace_back("timeout");
        }
        CHECK(watch.ms() == 15);
        CHECK(seen == trace{"gave up", "timeout"});
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("un-awaited, neither body nor cleanup runs, and both are destroyed") {
    tally objects;
    trace seen;
    auto const holds = [](token) -> task<> { co_return; };
    {
        auto const cleanup = [&, held = token(objects)] { seen.emplace_back("ran"); };
        auto t = with_cleanup(holds(token(objects)), cleanup);
        CHECK(objects.alive == 3);
    }
    CHECK(objects.alive == 0);
    CHECK(seen.empty());
}

}  // namespace
