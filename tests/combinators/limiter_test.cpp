#include <magpie/combinators/limiter.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <utility>

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

TEST_CASE("a limit_ref is a number or the present limit of what it refers to") {
    CHECK(limit_ref(7).count() == 7);
    CHECK(limit_ref(std::numeric_limits<std::size_t>::max()).count() == std::numeric_limits<std::ptrdiff_t>::max());
    CHECK(limit_ref(7).shared() == nullptr);
    semaphore s(3);
    limiter l(4);
    limit_ref const by_semaphore = s;
    limit_ref const by_limiter = l;
    CHECK(by_semaphore.count() == 3);
    CHECK(by_semaphore.record() == nullptr);
    l.resize(5);
    CHECK(by_limiter.count() == 5);
    CHECK(by_limiter.record() != nullptr);
    static_assert(std::is_trivially_destructible_v<limit_ref>);
    static_assert(!std::is_convertible_v<bool, limit_ref>);
}

} // namespace
