#include <magpie/combinators/limiter.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("a limiter lets as many in as its limit, first come, first served") {
    auto const body = []() -> task<> {
        limiter l(2);
        auto a = co_await l.acquire();
        auto b = l.try_acquire();
        CHECK(b);
        CHECK(l.available() == 0);
        CHECK_FALSE(l.try_acquire());
        trace seen;
        auto const enters = [&](std::string name) -> task<> {
            auto const p = co_await l.acquire();
            seen.push_back(std::move(name));
        };
        auto one = spawn(enters("1"));
        auto two = spawn(enters("2"));
        co_await this_task::yield();
        CHECK(l.waiting() == 2);
        a.release();
        co_await std::move(two);
        CHECK(seen == trace{"1", "2"});
    };
    run(body(), simulated());
}

TEST_CASE("it can be resized while in use, but not below 1, and takes no more back than was taken") {
    CHECK_THROWS_AS(limiter(0), std::invalid_argument);
    limiter l(1);
    CHECK_THROWS_AS(l.resize(0), std::invalid_argument);
    CHECK_THROWS_AS(l.release(), std::logic_error);
    auto p = l.try_acquire();
    l.resize(2);
    CHECK(l.limit() == 2);
    CHECK(l.available() == 1);
    p.forget();
    l.release();
    CHECK(l.available() == 2);
}

TEST_CASE("it counts how operations ended") {
    limiter l(1);
    l.record(true);
    l.record(false);
    l.record(false);
    CHECK(l.succeeded() == 1);
    CHECK(l.failed() == 2);
}

TEST_CASE("settings that contradict each other are refused, and change nothing") {
    CHECK_THROWS_AS(limiter(limit_config{.kind = limit_kind::aimd, .initial = 4, .min = 5}), std::invalid_argument);
    CHECK_THROWS_AS(limiter(limit_config{.kind = limit_kind::gradient, .initial = 4, .max = 3}), std::invalid_argument);
    CHECK_THROWS_AS(limiter(limit_config{.kind = limit_kind::aimd, .initial = 4, .min = 0}), std::invalid_argument);
    CHECK_THROWS_AS(limiter(limit_config{.kind = limit_kind::aimd, .target = -1ns}), std::invalid_argument);
    CHECK_THROWS_AS(limiter(limit_config{.initial = 0}), std::invalid_argument);
    CHECK_NOTHROW(limiter(limit_config{.initial = 4, .min = 9, .max = 2}));  // fixed: only `initial` counts
    limiter l(limit_config{.kind = limit_kind::aimd, .initial = 4, .max = 8});
    CHECK_THROWS_AS(l.configure({.kind = limit_kind::gradient, .initial = 9, .max = 8}), std::invalid_argument);
    CHECK(l.kind() == limit_kind::aimd);
    CHECK(l.limit() == 4);
    l.resize(100);
    CHECK(l.limit() == 8);
}

TEST_CASE("a limiter can become another kind, and waiters go on when there is more room") {
    auto const body = []() -> task<> {
        limiter l(1);
        auto const held = co_await l.acquire();
        auto const enters = [&]() -> task<> { auto const p = co_await l.acquire(); };
        auto waits = spawn(enters());
        co_await this_task::yield();
        CHECK(l.waiting() == 1);
        l.configure({.kind = limit_kind::gradient, .initial = 2, .max = 8});
        co_await std::move(waits);
        CHECK(l.kind() == limit_kind::gradient);
        CHECK(l.limit() == 2);
        l.configure({.kind = limit_kind::aimd, .initial = 5, .max = 8});
        CHECK(l.limit() == 5);
        l.record(false, 1ms);
        CHECK(l.limit() == 4);
        l.configure({.kind = limit_kind::aimd, .initial = 5, .max = 9});
        CHECK(l.limit() == 4);  // learnt
        l.configure({.initial = 1});
        CHECK(l.kind() == limit_kind::fixed);
        CHECK(l.limit() == 1);
        CHECK_FALSE(l.try_acquire());
    };
    run(body(), simulated());
}

TEST_CASE("a burst of failures without latencies is one decrease, too") {
    limiter l(limit_config{.kind = limit_kind::aimd, .initial = 20});
    std::vector<permit> places;
    for (int i = 0; i < 20; ++i) {
        places.push_back(l.try_acquire());
    }
    for (int i = 0; i < 20; ++i) {
        l.record(false);
    }
    CHECK(l.limit() == 18);
    CHECK(l.failed() == 20);
    CHECK(l.in_flight() == 20);
    l.record(false);  // it is of the next round trip
    CHECK(l.limit() == 18);
    l.record(false);
    CHECK(l.limit() == 16);
}

TEST_CASE("a limit_ref is a number or the present limit of what it refers to") {
    CHECK(limit_ref(7).count() == 7);
    CHECK(limit_ref(std::numeric_limits<std::size_t>::max()).count() == std::numeric_limits<std::ptrdiff_t>::max());
    CHECK(limit_ref(7).shared() == nullptr);
    semaphore s(3);
    limiter l(4);
    limit_ref const by_semaphore = s;
    limit_ref const by_limiter = l;
    CHECK(by_semaphore.count() == 3);
    CHECK(by_semaphore.control() == nullptr);
    l.resize(5);
    CHECK(by_limiter.count() == 5);
    CHECK(by_limiter.control() != nullptr);
    static_assert(std::is_trivially_destructible_v<limit_ref>);
    static_assert(!std::is_convertible_v<bool, limit_ref>);
}

} // namespace
