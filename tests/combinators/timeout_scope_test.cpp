// Deadlines that nest, that are moved, and that pass inside cleanups.

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

TEST_CASE("TO-02: nested deadlines at the same time: both expired, only the outermost converts") {
    auto const body = []() -> task<> {
        trace seen;
        bool outer_expired = false;
        bool inner_expired = false;
        auto outer = [&](timeout_scope& a) -> task<> {
            auto inner = [&](timeout_scope& b) -> task<> {
                try {
                    co_await sleep(1h);
                } catch (task_cancelled const&) {
                    outer_expired = a.expired();
                    inner_expired = b.expired();
                    throw;
                }
            };
            auto const ended = co_await how(with_timeout(10ms, inner));
            seen.push_back("inner " + ended);
            co_await sleep(1h);  // and it still interrupts what follows
            seen.emplace_back("NOT REACHED");
        };
        stopwatch const watch;
        auto const ended = co_await how(with_timeout(10ms, outer));
        seen.push_back("outer " + ended);
        CHECK(seen == trace{"inner cancelled", "outer timeout"});
        CHECK((outer_expired && inner_expired));
        CHECK(watch.ms() == 10);
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
    };
    run(body(), simulated());
}

TEST_CASE("the inner deadline first, then the outer one, each at its own time") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto outer = [&](timeout_scope&) -> task<> {
            auto const ended = co_await how(timeout(5ms, nap(1h)));
            seen.push_back("inner " + ended);
            co_await sleep(1h);
        };
        auto const ended = co_await how(with_timeout(10ms, outer));
        seen.push_back("outer " + ended);
        CHECK(seen == trace{"inner timeout", "outer timeout"});
        CHECK(watch.ms() == 10);
    };
    run(body(), simulated());
}

TEST_CASE("TO-14, TO-20: the deadline can be moved and removed; false once it has expired") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        bool after_expiry = true;
        auto later = [&](timeout_scope& scope) -> task<> {
            CHECK(scope.reschedule(now() + 30ms));
            CHECK(scope.when() == now() + 30ms);
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                after_expiry = scope.reschedule(now() + 1h);
                throw;
            }
        };
        auto ended = co_await how(with_timeout(10ms, later));
        CHECK(ended == "timeout");
        CHECK(watch.ms() == 30);
        CHECK_FALSE(after_expiry);
        auto never = [&](timeout_scope& scope) -> task<> {
            CHECK(scope.reschedule(std::nullopt));
            CHECK(scope.when() == std::nullopt);
            co_await sleep(1s);
        };
        ended = co_await how(with_timeout(10ms, never));
        CHECK(ended == "value");
        auto at_once = [&](timeout_scope& scope) -> task<> {
            CHECK(scope.reschedule(now()));
            CHECK(scope.expired());
            CHECK_FALSE(scope.reschedule(now() + 1h));
            co_await sleep(1h);
        };
        stopwatch const again;
        ended = co_await how(with_timeout(10ms, at_once));
        CHECK(ended == "timeout");
        CHECK(again.ms() == 0);
        // By another task.
        auto moved = [](timeout_scope& scope) -> task<> {
            auto mover = [](timeout_scope& s) -> task<> {
                co_await sleep(5ms);
                s.reschedule(now() + 1ms);
            };
            auto h = spawn(mover(scope));
            co_await gather(nap(1h), std::move(h));
        };
        ended = co_await how(with_timeout(1s, moved));
        CHECK(ended == "timeout");
        CHECK(again.ms() == 6);
    };
    run(body(), simulated());
}

TEST_CASE("TO-16, TO-17, TO-18: timeouts inside the cleanup of an expired block and of a cancelled task") {
    auto const body = []() -> task<> {
        trace seen;
        auto cleanup_after_expiry = [&](timeout_scope&) -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            CHECK(cancelled);
            seen.push_back(co_await how(timeout(5ms, nap(1h))));
            throw task_cancelled();
        };
        seen.push_back(co_await how(with_timeout(5ms, cleanup_after_expiry)));
        CHECK(seen == trace{"timeout", "timeout"});

        seen.clear();
        auto owner = [&](bool again) -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            CHECK(cancelled);
            seen.push_back(co_await how(timeout(5ms, nap(1h))));
            CHECK(this_task::cancelling() == (again ? 2 : 1));
            // A block that ends without having been suspended after its deadline leaves nothing behind.
            co_await with_timeout(0s, [](timeout_scope&) -> task<> { co_return; });
            co_await sleep(1ms);
            seen.emplace_back("went on");
        };
        auto h = spawn(owner(false));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(10ms);
        CHECK(seen == trace{"timeout", "went on"});
        seen.clear();
        auto twice = spawn(owner(true));
        co_await sleep(1ms);
        twice.cancel();
        co_await sleep(1ms);
        twice.cancel();
        co_await sleep(10ms);
        CHECK(seen == trace{"cancelled", "went on"});
    };
    run(body(), simulated());
}

TEST_CASE("a request that is pending when the block begins is delivered in it, and is nobody's timeout") {
    auto const body = []() -> task<> {
        std::string ended;
        auto owner = [&]() -> task<> {
            this_task::cancel();
            ended = co_await how(with_timeout(0s, [](timeout_scope&) -> task<> { co_await sleep(1h); }));
        };
        auto h = spawn(owner());
        co_await h;
        CHECK(ended == "cancelled");
    };
    run(body(), simulated());
}

TEST_CASE("TO-22: a deadline that passed, but whose request nobody met, is taken back") {
    auto const body = []() -> task<> {
        auto busy = [](timeout_scope& scope) -> task<int> {
            scope.reschedule(now() - 1ms);
            co_return 7;
        };
        int const n = co_await with_timeout(10ms, busy);
        CHECK(n == 7);
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
    };
    run(body(), simulated());
}

}  // namespace
