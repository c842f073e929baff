// An async_generator in the place of a range: what it throws on the way down, and what is left in it.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Gives one thing, then waits until it is cut off, and fails while it cleans up.
template <class T>
async_generator<T> spoils(T first) {
    co_yield std::move(first);
    bool asked = false;
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        asked = true;
    }
    if (asked) {
        co_await sleep(1ms);
        throw oops("generator");
    }
}

template <class Stream>
task<> as_task_of(Stream& stream) {
    (void)co_await stream.next();
}

TEST_CASE("BEY-03: what a generator throws while it goes down with the others is suppressed, not lost") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = [&]() -> task<> {
        auto const fails = [](int) { return fails_after(10ms, "item"); };
        CHECK(co_await how(batch(spoils(1), fails, {.limit = 4})) == "item");
        CHECK(suppressed.size() == 1);

        auto leaves = [](auto& s) -> task<> { (void)co_await s.next(); };
        auto const quick = [](int i) { return after(10ms, i); };
        co_await batch_stream(spoils(1), quick, leaves, {.limit = 4});
        CHECK(suppressed.size() == 2);

        // A request that no item is there to take goes to the generator: then its error is the only one.
        auto const nothing = [](int) -> task<int> { co_return 1; };
        auto h = spawn(batch(spoils(1), nothing, {.limit = 4}));
        co_await sleep(5ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(ends_with(describe(h.result().error()), "generator"));

        CHECK(co_await how(gather(spoils(fails_after(1ms, "task")))) == "task");
    };
    run(body(), c);
    CHECK(suppressed.size() == 3);
    for (auto const& each : suppressed.entries()) {
        CHECK(ends_with(each.error, "generator"));
    }
}

TEST_CASE("BEY-03: a generator that stays with the caller goes on behind what was fetched") {
    auto const body = []() -> task<> {
        auto numbers = []() -> async_generator<int> {
            for (int i = 0; i < 6; ++i) {
                co_yield i;
            }
        };
        auto g = numbers();
        int begun = 0;
        auto const work = [&](int i) -> task<int> {
            ++begun;
            return after(1ms, i);
        };
        auto leaves = [](auto& s) -> task<> { (void)co_await s.next(); };
        co_await batch_stream(g, work, leaves, {.limit = 1});
        int left = 0;
        while (co_await g.next()) {
            ++left;
        }
        CHECK(begun + left >= 5);  // one may have been fetched ahead
        CHECK(begun + left <= 6);
    };
    run(body(), simulated());
}

TEST_CASE("ASC-15: when time is up a generator's next task is not begun any more") {
    auto const body = []() -> task<> {
        int begun = 0;
        auto const counts = [&]() -> task<int> {
            ++begun;
            co_return 1;
        };
        auto late = [&]() -> async_generator<task<int>> {
            co_await sleep(100ms);
            co_yield counts();
            co_await sleep(1h);
        };
        auto reads = [&](auto& s) -> task<> {
            CHECK(co_await how(as_task_of(s)) == "timeout");
            co_await sleep(200ms);
        };
        co_await as_completed(late(), reads, {.timeout = 50ms});
        CHECK(begun == 0);
    };
    run(body(), simulated());
}

}  // namespace
