#include <magpie/combinators/retry.hpp>

#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <expected>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("BEY-09: attempts, growing pauses, and the last error") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        std::vector<long> at;
        auto const fails = [&](int value) -> task<int> {
            at.push_back(watch.ms());
            co_await this_task::yield();
            if (at.size() < 4) {
                throw oops(std::to_string(at.size()));
            }
            co_return value;
        };
        CHECK(co_await retry({.attempts = 4, .backoff = 10ms, .factor = 3, .jitter = 0}, fails, 7) == 7);
        CHECK(at == std::vector<long>{0, 10, 40, 130});
        at.clear();
        CHECK_THROWS_WITH_AS(co_await retry({.attempts = 3}, fails, 7), "3", oops);
        CHECK(at.size() == 3);
        at.clear();
        CHECK_THROWS_WITH_AS(co_await retry({}, fails, 7), "1", oops);
    };
    run(body(), simulated());
}

TEST_CASE("pauses are bounded by max_backoff, the whole by time_limit") {
    auto const body = []() -> task<> {
        stopwatch watch;
        std::vector<long> at;
        auto const fails = [&]() -> task<> {
            at.push_back(watch.ms());
            throw oops("no");
            co_return;
        };
        CHECK_THROWS_AS(
            co_await retry({.attempts = 5, .backoff = 10ms, .jitter = 0, .max_backoff = 25ms}, fails), oops);
        CHECK(at == std::vector<long>{0, 10, 30, 55, 80});
        at.clear();
        watch = stopwatch();
        CHECK_THROWS_AS(co_await retry({.attempts = 99, .backoff = 10ms, .jitter = 0, .time_limit = 70ms}, fails), oops);
        CHECK(at == std::vector<long>{0, 10, 30, 70});
        CHECK(watch.ms() == 70);
    };
    run(body(), simulated());
}

TEST_CASE("jitter spreads the pauses between half and one and a half, the same way in each run") {
    auto const measure = [] {
        std::vector<long> pauses;
        auto const body = [&]() -> task<> {
            stopwatch watch;
            auto const fails = [&]() -> task<> {
                pauses.push_back(watch.ms());
                watch = stopwatch();
                throw oops("no");
                co_return;
            };
            CHECK_THROWS_AS(co_await retry({.attempts = 20, .backoff = 1000ms, .factor = 1}, fails), oops);
        };
        run(body(), simulated());
        return pauses;
    };
    auto pauses = measure();
    CHECK(pauses == measure());
    pauses.erase(pauses.begin());
    bool within = true;
    bool differ = false;
    for (long const each : pauses) {
        within = within && each >= 500 && each <= 1500;
        differ = differ || each != pauses.front();
    }
    CHECK(within);
    CHECK(differ);
}

TEST_CASE("task_cancelled is never retried, and cancelling ends a pause") {
    auto const body = []() -> task<> {
        int calls = 0;
        auto const cancels_itself = [&]() -> task<> {
            ++calls;
            this_task::cancel();
            co_await this_task::yield();
        };
        auto h = spawn(retry({.attempts = 9}, cancels_itself));
        CHECK_THROWS_AS(co_await h, child_cancelled);
        CHECK(calls == 1);
        auto const fails = [&]() -> task<> {
            ++calls;
            throw oops("no");
            co_return;
        };
        stopwatch const watch;
        CHECK_THROWS_AS(co_await timeout(5ms, retry({.attempts = 9, .backoff = 1h}, fails)), timeout_error);
        CHECK(calls == 2);
        CHECK(watch.ms() == 5);
    };
    run(body(), simulated());
}

TEST_CASE("an expected without a value is tried again; the last one is returned") {
    auto const body = []() -> task<> {
        int calls = 0;
        auto const fails = [&]() -> task<std::expected<int, int>> { co_return std::unexpected(++calls); };
        auto const e = co_await retry({.attempts = 3}, fails);
        CHECK(e.error() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("retry_if is asked, about errors and about values") {
    auto const body = []() -> task<> {
        int calls = 0;
        auto const fails = [&]() -> task<int> {
            ++calls;
            throw oops("no");
            co_return 0;
        };
        auto const only_others = [](std::exception_ptr const& e) {
            try {
                std::rethrow_exception(e);
            } catch (oops const&) {
                return false;
            } catch (...) {
                return true;
            }
        };
        CHECK_THROWS_AS(co_await retry({.attempts = 9}, fails).retry_if(only_others), oops);
        CHECK(calls == 1);
        auto const counts = [&]() -> task<int> { co_return ++calls; };
        auto const small = [](int x) { return x < 4; };
        CHECK(co_await retry({.attempts = 9}, counts).retry_if(small) == 4);
    };
    run(body(), simulated());
}

TEST_CASE("arguments are kept for every attempt, references and void come through") {
    auto const body = []() -> task<> {
        int calls = 0;
        int target = 0;
        auto const refers = [&](std::unique_ptr<int> const& p) -> task<int&> {
            if (++calls < 3) {
                throw oops("no");
            }
            CHECK(*p == 5);
            co_return target;
        };
        int& result = co_await retry({.attempts = 3}, refers, std::make_unique<int>(5));
        CHECK(&result == &target);
        auto const nothing = [&](int& count) -> task<> {
            if (++count < 2) {
                throw oops("no");
            }
            co_return;
        };
        co_await retry({.attempts = 2}, nothing, 0);
    };
    run(body(), simulated());
}

TEST_CASE("options out of range are refused") {
    auto const nothing = []() -> task<> { co_return; };
    CHECK_THROWS_AS((void)retry({.attempts = 0}, nothing), std::invalid_argument);
    CHECK_THROWS_AS((void)retry({.backoff = -1ms}, nothing), std::invalid_argument);
    CHECK_THROWS_AS((void)retry({.factor = 0.5}, nothing), std::invalid_argument);
    CHECK_THROWS_AS((void)retry({.jitter = 1.5}, nothing), std::invalid_argument);
    CHECK_THROWS_AS((void)retry({.time_limit = -1ms}, nothing), std::invalid_argument);
    static_assert(std::is_trivially_destructible_v<retry_options>);
}

} // namespace
