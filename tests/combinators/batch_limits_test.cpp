// batch: shared limits, rates, retries, timeouts and cancellation.

#include <magpie/combinators/batch.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <expected>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Says when it begins; succeeds at its nth attempt.
struct flaky {
    trace& seen;
    stopwatch const& watch;
    int succeeds_at;
    std::vector<int> attempts = std::vector<int>(10);

    task<int> operator()(int i) {
        seen.push_back(std::to_string(i) + "@" + std::to_string(watch.ms()));
        int const attempt = ++attempts[static_cast<std::size_t>(i)];
        co_await sleep(1ms);
        if (attempt < succeeds_at) {
            throw oops("attempt " + std::to_string(attempt));
        }
        co_return attempt;
    }
};

TEST_CASE("BEY-09: retries after growing pauses, during which another item has the place") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        retry_options const retry{.attempts = 3, .backoff = 10ms, .jitter = 0};
        flaky const item{seen, watch, 3};
        auto const v = co_await batch(std::views::iota(0, 2), item, {.limit = 1, .retry = retry});
        CHECK(v == std::vector{3, 3});
        // 0 fails at 1, 11+1, succeeds from 32 on; 1 begins in the first pause
        CHECK(seen == trace{"0@0", "1@1", "0@11", "1@12", "0@32", "1@33"});
    };
    run(body(), simulated());
}

TEST_CASE("the last failure of an item that never succeeds is thrown") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        retry_options const retry{.attempts = 3};
        flaky const item{seen, watch, 9};
        CHECK_THROWS_WITH_AS(co_await batch(std::views::iota(0, 1), item, {.retry = retry}), "attempt 3", oops);
        CHECK(seen.size() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("an expected without a value is tried again, and stays among the results; retry_if decides") {
    auto const body = []() -> task<> {
        int calls = 0;
        auto const one = [&](int i) -> task<std::expected<int, int>> {
            ++calls;
            if (i == 0) {
                co_return std::unexpected(calls);
            }
            co_return i;
        };
        batch_options const options{.limit = 1, .retry = {.attempts = 3}};
        auto v = co_await batch(std::views::iota(0, 2), one, options);
        CHECK(v[0].error() == 3);  // a pause of zero is over at once
        CHECK(v[1].value() == 1);
        CHECK(calls == 4);
        calls = 0;
        auto const never = [](std::expected<int, int> const& e) {
            CHECK_FALSE(e.has_value());
            return false;
        };
        v = co_await batch(std::views::iota(0, 2), one, options).retry_if(never);
        CHECK(calls == 2);
        auto const on_value = [&](int) -> task<int> { co_return ++calls; };
        auto const small = [](int x) { return x < 5; };
        auto const w = co_await batch(std::views::iota(0, 1), on_value, {.retry = {.attempts = 9}}).retry_if(small);
        CHECK(w[0] == 5);
    };
    run(body(), simulated());
}

TEST_CASE("rate: so many starts a second, evenly spaced, retries included") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        flaky const once{seen, watch, 1};
        co_await batch(std::views::iota(0, 3), once, {.rate = 100});
        CHECK(seen == trace{"0@0", "1@10", "2@20"});
        seen.clear();
        retry_options const retry{.attempts = 2};
        stopwatch const again;
        flaky const twice{seen, again, 2};
        co_await batch(std::views::iota(0, 2), twice, {.rate = 100, .retry = retry});
        CHECK(seen == trace{"0@0", "0@10", "1@20", "1@30"});
    };
    run(body(), simulated());
}

TEST_CASE("per_item_timeout bounds each attempt, and a timeout is tried again") {
    auto const body = []() -> task<> {
        int attempts = 0;
        auto const slow_at_first = [&](int) -> task<int> {
            co_await sleep(++attempts == 1 ? 1h : 1ms);
            co_return attempts;
        };
        stopwatch const watch;
        auto const v = co_await batch(std::views::iota(0, 1), slow_at_first,
                                      {.retry = {.attempts = 2}, .per_item_timeout = 5ms});
        CHECK(v == std::vector{2});
        CHECK(watch.ms() == 6);
        auto const slow = [](int) -> task<> { co_await sleep(1h); };
        CHECK_THROWS_AS(co_await batch_each(std::views::iota(0, 2), slow, {.per_item_timeout = 5ms}), timeout_error);
    };
    config c = simulated();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
}

TEST_CASE("a semaphore as limit is shared with others, first come, first served, and all permits come back") {
    auto const body = []() -> task<> {
        semaphore s(2);
        int inside = 0;
        int most = 0;
        auto const one = [&](int) -> task<> {
            most = std::max(most, ++inside);
            co_await sleep(10ms);
            --inside;
        };
        auto const other = [&]() -> task<> {
            auto const p = co_await s.acquire();
            co_await one(0);
        };
        stopwatch const watch;
        auto a = spawn(batch(std::views::iota(0, 4), one, {.limit = s}));
        auto b = spawn(batch(std::views::iota(0, 3), one, {.limit = s}));
        auto c = spawn(other());
        co_await std::move(a);
        co_await std::move(b);
        co_await std::move(c);
        CHECK(most == 2);
        CHECK(watch.ms() == 40);
        CHECK(s.available() == 2);
        CHECK(s.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("a limiter as limit counts successes and failures of attempts, and can be resized meanwhile") {
    auto const body = []() -> task<> {
        limiter l(1);
        trace seen;
        stopwatch const watch;
        flaky const item{seen, watch, 2};
        auto h = spawn(batch(std::views::iota(0, 4), item, {.limit = l, .retry = {.attempts = 2}}));
        co_await sleep(1ms);
        l.resize(4);
        co_await std::move(h);
        CHECK(l.succeeded() == 4);
        CHECK(l.failed() == 4);
        CHECK(l.available() == 4);
        CHECK(watch.ms() < 8);
    };
    run(body(), simulated());
}

TEST_CASE("a batch inside an item that waits for the outer batch's limit is told") {
    auto const body = []() -> task<> {
        semaphore s(2);
        auto const leaf = [](int) -> task<> { co_await sleep(1ms); };
        auto const inner = [&](int) -> task<> {
            co_await sleep(1ms);
            co_await batch_each(std::views::iota(0, 2), leaf, {.limit = s});
        };
        CHECK_THROWS_AS(co_await batch_each(std::views::iota(0, 2), inner, {.limit = s}), usage_error);
        CHECK(s.available() == 2);
        CHECK(s.waiting() == 0);
        // Two batches beside each other are no nest.
        auto a = spawn(batch_each(std::views::iota(0, 5), leaf, {.limit = s}));
        co_await batch_each(std::views::iota(0, 5), leaf, {.limit = s});
        co_await std::move(a);
    };
    config c = simulated();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
}

// ---------------------------------------------------------------------------------------------- cancellation

TEST_CASE("cancelling cancels the items once each, waits for them, and throws, also under settled") {
    auto const body = []() -> task<> {
        trace seen;
        auto const one = [&](int i) -> task<int> { return cleans_up(seen, std::to_string(i), 1h, 5ms * (i + 1)); };
        auto const all = [&]() -> task<> { co_await batch(settled, std::views::iota(0, 100), one, {.limit = 3}); };
        auto h = spawn(all());
        co_await sleep(1ms);
        stopwatch const watch;
        h.cancel();
        CHECK_THROWS_AS(co_await h, child_cancelled);
        CHECK(watch.ms() == 15);
        CHECK(seen == trace{"0 cancelled", "1 cancelled", "2 cancelled", "0 cleaned", "1 cleaned", "2 cleaned"});
    };
    run(body(), simulated());
}

TEST_CASE("a second request reaches the items again") {
    auto const body = []() -> task<> {
        int deliveries = 0;
        auto const one = [&](int) -> task<int> { return resists(deliveries, 2, 1h); };
        auto h = spawn(batch(std::views::iota(0, 1), one));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(deliveries == 1);
        h.cancel();
        CHECK_THROWS_AS(co_await h, child_cancelled);
        CHECK(deliveries == 2);
    };
    run(body(), simulated());
}

TEST_CASE("an item's error beats the cancellation, whose request stays pending") {
    auto const body = []() -> task<> {
        bool reached = false;
        auto const one = [](int) -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            if (cancelled) {
                throw oops("while cleaning up");
            }
        };
        auto const all = [&]() -> task<> {
            CHECK_THROWS_AS(co_await batch(std::views::iota(0, 1), one), oops);
            co_await this_task::yield();
            reached = true;
        };
        auto h = spawn(all());
        co_await sleep(1ms);
        h.cancel();
        CHECK_THROWS_AS(co_await h, child_cancelled);
        CHECK_FALSE(reached);
    };
    run(body(), simulated());
}

TEST_CASE("cancelled while it waits for a permit, a pause or the rate: it ends at once and gives everything back") {
    auto const body = []() -> task<> {
        semaphore s(1);
        auto held = co_await s.acquire();
        auto const one = [](int) -> task<> { co_return; };
        auto const fails = [](int) -> task<> { throw oops("again"); };
        auto waits = spawn(batch(std::views::iota(0, 3), one, {.limit = s}));
        auto pauses = spawn(batch(std::views::iota(0, 1), fails, {.retry = {.attempts = 2, .backoff = 1h}}));
        auto paced = spawn(batch(std::views::iota(0, 3), one, {.rate = 0.001}));
        co_await sleep(1ms);
        CHECK(s.waiting() == 1);
        stopwatch const watch;
        for (auto* h : {&waits, &pauses, &paced}) {
            h->cancel();
            CHECK_THROWS_AS(co_await *h, child_cancelled);
        }
        CHECK(watch.ms() == 0);
        CHECK(s.waiting() == 0);
        held.release();
        CHECK(s.available() == 1);
    };
    run(body(), simulated());
}

TEST_CASE("with a request pending at the start nothing begins") {
    auto const body = []() -> task<> {
        int ran = 0;
        auto const one = [&](int) -> task<> {
            ++ran;
            co_return;
        };
        this_task::cancel();
        bool thrown = false;
        try {
            co_await batch(std::views::iota(0, 3), one);
        } catch (task_cancelled const&) {
            thrown = true;
        }
        this_task::uncancel();
        CHECK(thrown);
        CHECK(ran == 0);
    };
    run(body(), simulated());
}

} // namespace
