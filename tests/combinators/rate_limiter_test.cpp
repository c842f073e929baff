#include <magpie/combinators/rate_limiter.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <ranges>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("BEY-08: one operation every 1/rate, exactly, also where that is no whole number of nanoseconds") {
    auto const body = []() -> task<> {
        rate_limiter l(3);
        std::vector<long long> at;
        time_point const start = now();
        for (int i = 0; i < 7; ++i) {
            co_await l.acquire();
            at.push_back((now() - start) / 1ns);
        }
        CHECK(at == std::vector<long long>{0, 333'333'334, 666'666'667, 1'000'000'000, 1'333'333'334, 1'666'666'667,
                                           2'000'000'000});
    };
    run(body(), simulated());
}

TEST_CASE("after an idle time a burst passes at once, never more than the burst") {
    auto const body = []() -> task<> {
        rate_limiter l(10, 3);
        stopwatch const watch;
        std::vector<long> at;
        auto const five = [&]() -> task<> {
            for (int i = 0; i < 5; ++i) {
                co_await l.acquire();
                at.push_back(watch.ms());
            }
        };
        co_await five();
        CHECK(at == std::vector<long>{0, 0, 0, 100, 200});
        co_await sleep(10s);
        at.clear();
        co_await five();
        CHECK(at == std::vector<long>{10200, 10200, 10200, 10300, 10400});
    };
    run(body(), simulated());
}

TEST_CASE("first come, first served: a request for many is not overtaken by small ones") {
    auto const body = []() -> task<> {
        rate_limiter l(10, 2);
        stopwatch const watch;
        trace seen;
        auto const takes = [&](std::string name, std::size_t n) -> task<> {
            co_await l.acquire(n);
            seen.push_back(name + "@" + std::to_string(watch.ms()));
        };
        co_await gather(takes("a", 2), takes("b", 2), takes("c", 1), takes("d", 1));
        CHECK(seen == trace{"a@0", "b@200", "c@300", "d@400"});
    };
    run(body(), simulated());
}

TEST_CASE("cancelling takes nothing, and those behind move up") {
    auto const body = []() -> task<> {
        rate_limiter l(10);
        stopwatch const watch;
        CHECK(l.try_acquire());
        auto first = spawn(l.acquire());
        auto second = spawn(l.acquire());
        co_await sleep(50ms);
        CHECK(l.waiting() == 2);
        CHECK_FALSE(l.try_acquire());
        first.cancel();
        co_await std::move(second);
        CHECK(first.cancelled());
        CHECK(watch.ms() == 100);
        CHECK(l.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("try_acquire takes what is there") {
    auto const body = []() -> task<> {
        rate_limiter l(10, 2);
        CHECK(l.try_acquire(2));
        CHECK_FALSE(l.try_acquire());
        co_await sleep(100ms);
        CHECK_FALSE(l.try_acquire(2));
        CHECK(l.try_acquire());
        CHECK_FALSE(l.try_acquire());
    };
    run(body(), simulated());
}

TEST_CASE("what makes no sense is refused") {
    CHECK_THROWS_AS(rate_limiter(0), std::invalid_argument);
    CHECK_THROWS_AS(rate_limiter(-1), std::invalid_argument);
    CHECK_THROWS_AS(rate_limiter{std::numeric_limits<double>::infinity()}, std::invalid_argument);
    CHECK_THROWS_AS(rate_limiter(1, 0), std::invalid_argument);
    rate_limiter l(1, 2);
    CHECK_THROWS_AS((void)l.acquire(3), std::invalid_argument);
    CHECK_THROWS_AS((void)l.try_acquire(3), std::invalid_argument);
    CHECK(l.burst() == 2);
    CHECK(l.per_second() == 1);
}

} // namespace
