// timeout(): the WF rows, and the TO rows of one deadline. More of them: timeout_scope_test.cpp.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

template <class D>
concept takes = requires(D d) { timeout(d, sleep(1ms)); };
static_assert(takes<std::chrono::seconds> && takes<std::chrono::duration<double>> && takes<std::optional<duration>> &&
              takes<std::nullopt_t>);
static_assert(!takes<int> && !takes<unsigned long>);
static_assert(std::is_same_v<await_result_t<decltype(timeout(1s, after(1ms, std::string())))>, std::string>);

TEST_CASE("TO-01, TO-03, TO-11, WF-02, WF-06: expiry cancels, waits for the end, and becomes timeout_error") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto const ended = co_await how(timeout(10ms, cleans_up(seen, "work", 1h, 10ms)));
        CHECK(ended == "timeout");
        CHECK(watch.ms() == 20);
        CHECK(seen == trace{"work cancelled", "work cleaned"});
        CHECK(this_task::cancelling() == 0);  // TO-11
        co_await sleep(1ms);

        std::optional<time_point> deadline;
        bool inside = true;
        auto block = [&](timeout_scope& scope) -> task<> {
            inside = scope.expired();
            deadline = scope.when();
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                CHECK(scope.expired());
                throw;  // TO-03
            }
        };
        auto const start = now();
        auto const block_ended = co_await how(with_timeout(10ms, block));
        CHECK(block_ended == "timeout");
        CHECK_FALSE(inside);
        CHECK(deadline == start + 10ms);
    };
    run(body(), simulated());
}

TEST_CASE("WF-07, WF-08, TO-04: an early end gives its value and disarms the timer") {
    auto const body = []() -> task<> {
        int variable = 3;
        auto refers = [&]() -> task<int&> {
            co_await sleep(1ms);
            co_return variable;
        };
        auto p = co_await timeout(10ms, after(5ms, std::make_unique<int>(4)));
        CHECK(*p == 4);
        int& r = co_await timeout(10ms, refers());
        CHECK(&r == &variable);
        co_await timeout(10ms, sleep(1ms));
        int const n = co_await with_timeout(
            10ms, [](timeout_scope&, int k) -> task<int> { co_return co_await after(1ms, k); }, 6);
        CHECK(n == 6);
        co_await sleep(1h);  // no late request
    };
    run(body(), simulated());
}

TEST_CASE("TO-05: no deadline is never; so is one beyond the clock; a number that is none is refused") {
    auto const body = []() -> task<> {
        int sum = co_await timeout(std::nullopt, after(24h, 1));
        sum += co_await timeout(duration::max(), after(24h, 1));
        sum += co_await timeout(std::chrono::hours::max(), after(24h, 1));
        sum += co_await timeout(std::chrono::duration<double>(std::numeric_limits<double>::infinity()), after(24h, 1));
        std::optional<time_point> deadline = now();
        auto block = [&](timeout_scope& scope) -> task<int> {
            deadline = scope.when();
            return after(24h, 1);
        };
        sum += co_await with_timeout(std::nullopt, block);
        CHECK(sum == 5);
        CHECK(deadline == std::nullopt);
        CHECK_THROWS_AS((void)timeout(std::chrono::duration<double>(NAN), sleep(1ms)), std::invalid_argument);
    };
    run(body(), simulated());
}

TEST_CASE("TO-06, TO-07: a deadline of zero is due at the first suspension; without one nothing happens") {
    auto const body = []() -> task<> {
        for (duration const d : {duration(0), duration(-1), duration::min()}) {
            auto yields = [](timeout_scope& scope) -> task<> {
                CHECK(scope.expired());
                co_await sleep(0s);
                CHECK(false);
            };
            auto const ended = co_await how(with_timeout(d, yields));
            CHECK(ended == "timeout");
            int const n = co_await with_timeout(d, [](timeout_scope&) -> task<int> { co_return 3; });
            CHECK(n == 3);
            CHECK(this_task::cancelling() == 0);
            co_await sleep(1ms);
        }
    };
    run(body(), simulated());
    run(body(), threads(2));
}

TEST_CASE(
    "WF-03, WF-04, WF-05, WF-10: a limit of zero: ready gives its value, lazy never starts, a handle is cancelled") {
    tally objects;
    auto const body = [&]() -> task<> {
        trace seen;
        auto holds = [&](token) -> task<> {
            seen.emplace_back("ran");
            co_return;
        };
        auto ready = spawn(after(0s, 5));
        co_await sleep(1ms);
        int const five = co_await timeout(0s, ready);
        CHECK(five == 5);

        auto ended = co_await how(timeout(0s, holds(token(objects))));
        CHECK(ended == "timeout");
        ended = co_await how(timeout(-1s, gather(holds(token(objects)), holds(token(objects)))));
        CHECK(ended == "timeout");
        CHECK(seen.empty());
        CHECK(objects.alive == 0);

        auto running = spawn(cleans_up(seen, "handle", 1h, 5ms));
        co_await sleep(1ms);
        stopwatch const watch;
        ended.clear();
        try {
            co_await timeout(-1s, running);
        } catch (timeout_error const&) {
            ended = "timeout";
        }
        CHECK(ended == "timeout");
        CHECK(running.cancelled());
        CHECK(watch.ms() == 5);  // WF-10: its cleanup was awaited
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("WF-09, WF-11, TO-08, TO-09: a value or an error in spite of the request counts") {
    auto const body = []() -> task<> {
        auto swallows = []() -> task<int> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {}
            co_return 42;
        };
        int const n = co_await timeout(5ms, swallows());
        CHECK(n == 42);
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
        auto replaces = []() -> task<int> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {}
            throw oops("own error");
        };
        auto ended = co_await how(timeout(5ms, replaces()));
        CHECK(ended == "own error");
        ended = co_await how(timeout(5ms, fails_after(1ms, "before")));
        CHECK(ended == "before");
        co_await sleep(10ms);
    };
    run(body(), simulated());
}

TEST_CASE("TO-10, TO-23, WF-13: a cancellation from outside stays one, also when the deadline has passed") {
    auto const body = []() -> task<> {
        std::string ended;
        trace seen;
        auto owner = [&](duration limit) -> task<> {
            ended = co_await how(timeout(limit, cleans_up(seen, "x", 1h, 5ms)));
        };
        auto h = spawn(owner(1s));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(10ms);
        CHECK(ended == "cancelled");
        auto late = spawn(owner(2ms));
        co_await sleep(4ms);  // it unwinds from the deadline
        late.cancel();
        co_await sleep(10ms);
        CHECK(ended == "cancelled");
    };
    run(body(), simulated());
}

TEST_CASE(
    "WF-01, WF-12: cancelling the waiter waits for an inner task that resists; a second request reaches it again") {
    auto const body = []() -> task<> {
        int deliveries = 0;
        auto h = spawn(timeout(10s, spawn(resists(deliveries, 2, 1h))));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK_FALSE(h.done());
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.done());
        CHECK(deliveries == 2);
    };
    run(body(), simulated());
}

TEST_CASE("WF-14: a request that arrives after the end of the inner task and before the waiter resumes is not lost") {
    auto const body = []() -> task<> {
        bool value = false;
        bool reached_end = false;
        auto owner = [&]() -> task<> {
            value = co_await timeout(1h, after(5ms, true));
            co_await sleep(1h);
            reached_end = true;
        };
        auto h = spawn(owner());
        co_await this_task::yield();
        co_await sleep(5ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(value);
        CHECK_FALSE(reached_end);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("WF-15: the limit of a shielded handle leaves the task running") {
    auto const body = []() -> task<> {
        auto h = spawn(after(20ms, 3));
        auto ended = co_await how(timeout(5ms, shield(h)));
        CHECK(ended == "timeout");
        ended = co_await how(timeout(0ms, shield(h)));
        CHECK(ended == "timeout");
        int const three = co_await h;
        CHECK(three == 3);
    };
    run(body(), simulated());
}

TEST_CASE("the limit of a gather cancels its children; a timeout inside a gather is one child's") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto ended = co_await how(timeout(5ms, gather(cleans_up(seen, "a", 1h, 1ms), cleans_up(seen, "b", 1h, 2ms))));
        CHECK(ended == "timeout");
        CHECK(watch.ms() == 7);
        auto o = co_await gather(settled, timeout(5ms, nap(1h)), timeout(10ms, after(7ms, 1)));
        CHECK_THROWS_AS(std::get<0>(o).value(), timeout_error);
        CHECK(std::get<1>(o).value() == 1);
    };
    run(body(), simulated());
}

}  // namespace
