// batch_stream: results as the items end, at the consumer's pace.

#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/limiter.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <expected>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<int> for_ms(int delay) {
    co_await sleep(std::chrono::milliseconds(delay));
    co_return delay;
}

// The results as text, "!" before an error that get() or next() throws.
task<> collect(batch_results<int>& s, trace& seen) {
    for (;;) {
        std::optional<completed_item<int>> item;
        try {
            item = co_await s.next();
        } catch (std::exception const& e) {
            seen.push_back("!!" + std::string(e.what()));
            continue;
        }
        if (!item) {
            seen.push_back("end");
            co_return;
        }
        try {
            seen.push_back(std::to_string(item->index) + ":" + std::to_string(item->get()));
        } catch (std::exception const& e) {
            seen.push_back(std::to_string(item->index) + ":!" + e.what());
        }
    }
}

TEST_CASE("results come in the order of the ends, with the index of the input") {
    auto const body = []() -> task<> {
        trace seen;
        std::vector<int> const delays{30, 10, 20, 5};
        co_await batch_stream({.limit = 2}, delays, for_ms, collect, std::ref(seen));
        CHECK(seen == trace{"1:10", "0:30", "2:20", "3:5", "end"});
        seen.clear();
        co_await batch_stream({}, std::vector<int>{}, for_ms, collect, std::ref(seen));
        CHECK(seen == trace{"end"});
        auto first = [](auto& s) -> task<std::unique_ptr<int>> {
            auto item = co_await s.next();
            co_return std::make_unique<int>(item->get());
        };
        auto const value = co_await batch_stream(delays, for_ms, first);
        CHECK(*value == 5);
    };
    run(body(), simulated());
}

TEST_CASE("a limit that grows starts more, while the first items run and nothing is there to be read") {
    auto const body = []() -> task<> {
        limiter shared(1);
        trace seen;
        auto const grows = [&]() -> task<> {
            co_await sleep(5ms);
            shared.resize(4);
        };
        auto growing = spawn(grows());
        time_point const begun = now();
        std::vector<int> const delays{100, 100, 100, 100};
        co_await batch_stream({.limit = shared}, delays, for_ms, collect, std::ref(seen));
        CHECK(now() - begun == 105ms);
        co_await std::move(growing);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-03: back-pressure: what runs and what waits to be read is never more than the limit") {
    auto const body = []() -> task<> {
        int begun = 0;
        int read = 0;
        int most = 0;
        int frames = 0;
        int most_frames = 0;
        auto const work = [&](int i) -> task<int> {
            most = std::max(most, ++begun - read);
            most_frames = std::max(most_frames, ++frames);
            co_await sleep(1ms);
            --frames;
            co_return i;
        };
        long sum = 0;
        auto slow = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                ++read;
                sum += item->get();
                co_await sleep(2ms);
            }
        };
        stopwatch const watch;
        co_await batch_stream(std::views::iota(0, 100), work, slow, {.limit = 8});
        CHECK(sum == 99 * 100 / 2);
        CHECK(most <= 9);  // the one that was just handed over is not counted as read yet
        CHECK(most_frames <= 8);
        CHECK(watch.ms() == 201);  // the consumer never waits but for the first

        // Constant memory, however long the input.
        int const inputs = static_cast<int>(rounds(500'000));
        auto const ready = [](int i) -> task<int> { co_return i; };
        long all = 0;
        auto add = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                all += item->get();
            }
        };
        co_await batch_stream(std::views::iota(0, inputs), ready, add, {.limit = 16});
        CHECK(all == static_cast<long>(inputs) * (inputs - 1) / 2);
    };
    run(body(), simulated());
}

task<int> fails_at_two(int i) {
    return i == 2   ? fails_after(2ms, "two")
           : i == 3 ? fails_after(3ms, "three")
                    : after(std::chrono::milliseconds(i), i);
}

TEST_CASE(
    "on_error: the default throws from next() after what was there; wait_all in the end; settle gives it as an item") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = []() -> task<> {
        trace seen;
        auto const inputs = std::views::iota(0, 6);
        co_await batch_stream({.limit = 8}, inputs, fails_at_two, collect, std::ref(seen));
        CHECK(seen == trace{"0:0", "1:1", "!!two", "end"});
        seen.clear();
        co_await batch_stream({.limit = 8, .on_error = wait_all}, inputs, fails_at_two, collect, std::ref(seen));
        CHECK(seen == trace{"0:0", "1:1", "4:4", "5:5", "!!two", "end"});
        seen.clear();
        co_await batch_stream({.limit = 8, .on_error = settle}, inputs, fails_at_two, collect, std::ref(seen));
        CHECK(seen == trace{"0:0", "1:1", "2:!two", "3:!three", "4:4", "5:5", "end"});
        auto passes_on = [](auto& s) -> task<> {
            while (co_await s.next()) {}
        };
        CHECK(co_await how(batch_stream(inputs, fails_at_two, passes_on)) == "two");
    };
    run(body(), c);
    CHECK(suppressed.size() == 1);  // "three", under wait_all
}

TEST_CASE("retries, per-item timeouts, expected-likes and progress are those of batch") {
    auto const body = []() -> task<> {
        int attempts = 0;
        auto const flaky = [&](int i) -> task<int> {
            ++attempts;
            co_await sleep(1ms);
            if (attempts < 3) {
                throw oops("again");
            }
            co_return i;
        };
        trace seen;
        std::vector<std::size_t> done;
        auto const one = std::views::iota(7, 8);
        co_await batch_stream({.retry = {.attempts = 3, .backoff = 1ms}}, one, flaky, collect, std::ref(seen))
            .on_progress([&](progress const& p) { done.push_back(p.done); });
        CHECK(attempts == 3);
        CHECK(seen == trace{"0:7", "end"});
        CHECK(done == std::vector<std::size_t>{1});

        attempts = -100;
        auto never = batch_stream({.retry = {.attempts = 5}, .on_error = settle}, one, flaky, collect, std::ref(seen))
                         .retry_if([](std::exception_ptr const&) { return false; });
        co_await std::move(never);
        CHECK(attempts == -99);
        CHECK(seen.back() == "end");

        seen.clear();
        std::vector<int> const delays{1, 9};
        co_await batch_stream({.per_item_timeout = 5ms, .on_error = settle}, delays, for_ms, collect, std::ref(seen));
        CHECK(seen == trace{"0:1", "1:!timed out", "end"});

        using result = std::expected<int, std::string>;
        auto const maybe = [](int i) -> task<result> { co_return i == 0 ? result(1) : result(std::unexpect, "no"); };
        int missing = 0;
        auto counts = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                missing += item->get().has_value() ? 0 : 1;
            }
        };
        co_await batch_stream(std::views::iota(0, 3), maybe, counts);
        CHECK(missing == 2);
        CHECK_THROWS_AS((void)batch_stream(std::views::iota(0, 3), maybe, counts, {.limit = 0}), std::invalid_argument);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-12: however the consumer is left, what runs is cancelled and joined, the rest never begins") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = []() -> task<> {
        trace seen;
        int begun = 0;
        auto const work = [&](int i) -> task<int> {
            ++begun;
            return i == 0 ? after(1ms, 0) : i == 1 ? fails_after(1ms, "unread") : cleans_up(seen, "slow", 1h, 3ms);
        };
        stopwatch const watch;
        auto leaves = [](auto& s) -> task<> { (void)co_await s.next(); };
        co_await batch_stream(std::views::iota(0), work, leaves, {.limit = 3, .on_error = settle});
        CHECK(watch.ms() == 4);
        CHECK(begun == 4);
        CHECK(seen == trace{"slow cancelled", "slow cleaned"});  // the fourth had not begun to run yet

        auto throws = [](auto& s) -> task<> {
            (void)co_await s.next();
            throw oops("consumer");
        };
        CHECK(co_await how(batch_stream(std::views::iota(0), work, throws, {.limit = 3, .on_error = settle})) ==
              "consumer");
        begun = 0;
        { [[maybe_unused]] auto dropped = batch_stream(std::views::iota(0), work, leaves); }
        CHECK(begun == 0);
    };
    run(body(), c);
    CHECK(suppressed.size() == 2);
}

TEST_CASE("GATHER-14: a request in next() goes to the items, each once; elsewhere it ends the consumer, which leaves") {
    auto const body = []() -> task<> {
        trace seen;
        int delivered = 0;
        auto const work = [&](int i) -> task<int> {
            return i == 0 ? resists(delivered, 9, 10ms) : cleans_up(seen, std::to_string(i), 1h, 2ms);
        };
        auto reads = [](auto& s) -> task<> {
            while (co_await s.next()) {}
        };
        auto h = spawn(batch_stream(std::views::iota(0, 9), work, reads, {.limit = 3}));
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(delivered == 1);
        CHECK(seen == trace{"1 cancelled", "2 cancelled", "1 cleaned", "2 cleaned"});

        seen.clear();
        auto waits = [](auto& s) -> task<> {
            (void)co_await s.next();
            co_await sleep(1h);
        };
        auto const quick = [&](int i) -> task<int> {
            return i == 0 ? after(1ms, 0) : cleans_up(seen, std::to_string(i), 1h, 2ms);
        };
        stopwatch const watch;
        CHECK(co_await how(timeout(5ms, batch_stream(std::views::iota(0, 9), quick, waits, {.limit = 2}))) ==
              "timeout");
        CHECK(watch.ms() == 7);
        std::ranges::sort(seen);
        CHECK(seen == trace{"1 cancelled", "1 cleaned", "2 cancelled", "2 cleaned"});
    };
    run(body(), simulated());
}

TEST_CASE("a shared limit: while the consumer works no place of it lies idle; tasks of the consumer may not read") {
    auto const body = []() -> task<> {
        semaphore places(1);
        trace seen;
        auto uses = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                auto const mine = co_await places.acquire();  // would wait for ever if the batch kept one
                seen.push_back(std::to_string(item->get()));
            }
        };
        co_await batch_stream(std::views::iota(1, 4), for_ms, uses, {.limit = places});
        CHECK(seen == trace{"1", "2", "3"});
        CHECK(places.available() == 1);

        // With a part of the limit in other hands the batch queues up for more, and must not be given it meanwhile.
        seen.clear();
        places.resize(2);
        {
            auto const others = co_await places.acquire();
            co_await batch_stream(std::views::iota(1, 4), for_ms, uses, {.limit = places});
        }
        CHECK(seen == trace{"1", "2", "3"});
        CHECK(places.available() == 2);

        auto shares = [](auto& s) -> task<> { co_await gather(s.next(), s.next()); };
        bool refused = false;
        try {
            co_await batch_stream(std::views::iota(1, 4), for_ms, shares);
        } catch (usage_error const&) {
            refused = true;
        }
        CHECK(refused);
    };
    run(body(), simulated());
}

}  // namespace
