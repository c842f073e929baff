#include <magpie/combinators/batch.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <expected>
#include <memory>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<int> doubled(int x) {
    co_await sleep(std::chrono::milliseconds(10 - x % 10));
    co_return 2 * x;
}

TEST_CASE("results come in input order, whatever the order of the ends") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto const v = co_await batch(std::views::iota(0, 10), doubled, {.limit = 10});
        CHECK(v == std::vector{0, 2, 4, 6, 8, 10, 12, 14, 16, 18});
        CHECK(watch.ms() == 10);
        auto const nothing = co_await batch(std::vector<int>{}, doubled);
        CHECK(nothing.empty());
    };
    run(body(), simulated());
}

TEST_CASE("BEY-02: at most limit items at a time, each started when a place is free") {
    auto const body = []() -> task<> {
        int inside = 0;
        int most = 0;
        auto const one = [&](int) -> task<> {
            most = std::max(most, ++inside);
            co_await sleep(10ms);
            --inside;
        };
        stopwatch const watch;
        co_await batch(std::views::iota(0, 9), one, {.limit = 3});
        CHECK(most == 3);
        CHECK(watch.ms() == 30);
    };
    run(body(), simulated());
}

TEST_CASE("live frames and inputs taken stay below limit + 2, also of an endless range") {
    tally frames;
    int taken = 0;
    int ended = 0;
    auto const body = [&]() -> task<> {
        auto inputs = std::views::iota(0) | std::views::transform([&](int i) {
                          ++taken;
                          return i;
                      });
        auto const one = [&](int i) -> task<> {
            token const frame(frames);
            CHECK(frames.alive <= 4);
            CHECK(taken <= ended + 5);
            co_await sleep(1ms);
            ++ended;
            if (i == 1000) {
                throw oops("enough");
            }
        };
        CHECK_THROWS_AS(co_await batch_each(std::move(inputs), one, {.limit = 4}), oops);
    };
    run(body(), simulated());
    CHECK(frames.alive == 0);
    CHECK(taken >= 1001);
}

TEST_CASE("void gives nothing, a reference gives a pointer, bool a vector<bool>, move-only values are moved") {
    auto const body = []() -> task<> {
        std::vector<int> numbers{1, 2, 3};
        auto const same = [](int& x) -> task<int&> { co_return x; };
        auto const pointers = co_await batch(numbers, same);
        CHECK(pointers == std::vector<int*>{&numbers[0], &numbers[1], &numbers[2]});
        auto const odd = [](int x) -> task<bool> { co_return x % 2 == 1; };
        auto const odds = co_await batch(numbers, odd);
        CHECK(odds == std::vector<bool>{true, false, true});
        auto const boxed = [](int x) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(x); };
        auto const boxes = co_await batch(numbers, boxed);
        CHECK(*boxes[2] == 3);
        auto const nothing = [](int) -> task<> { co_return; };
        static_assert(std::is_void_v<decltype(batch(numbers, nothing))::result>);
        co_await batch(numbers, nothing);
    };
    run(body(), simulated());
}

TEST_CASE("inputs: lvalues stay in place, others live until their item has ended, move-only ones are moved") {
    auto const body = []() -> task<> {
        std::vector<std::string> const names{"a", "b"};
        auto const address = [](std::string const& s) -> task<std::string const*> {
            co_await this_task::yield();
            co_return &s;
        };
        CHECK((co_await batch(names, address))[1] == &names[1]);
        auto const slow = [](std::string const& s) -> task<std::string> {
            co_await sleep(1ms);
            co_return s;
        };
        auto made = std::views::iota(0, 3) | std::views::transform([](int i) { return std::string(30, char('a' + i)); });
        CHECK((co_await batch(made, slow))[2] == std::string(30, 'c'));
        std::istringstream words("one two three");
        auto const read = co_await batch(std::views::istream<std::string>(words), slow);
        CHECK(read == std::vector<std::string>{"one", "two", "three"});
        std::vector<std::unique_ptr<int>> owned;
        owned.push_back(std::make_unique<int>(7));
        auto const takes = [](std::unique_ptr<int> p) -> task<int> { co_return *p; };
        auto const taken = co_await batch(std::move(owned), takes);
        CHECK(taken == std::vector{7});
    };
    run(body(), simulated());
}

TEST_CASE("the first error cancels the rest, starts nothing more, and is thrown when all have ended") {
    event_log suppressed;
    auto const body = []() -> task<> {
        trace seen;
        auto const one = [&](int i) -> task<int> {
            if (i == 1) {
                co_await sleep(1ms);
                throw oops("one");
            }
            co_return co_await cleans_up(seen, std::to_string(i), 10ms, 5ms);
        };
        stopwatch const watch;
        std::string what;
        try {
            co_await batch(std::views::iota(0, 100), one, {.limit = 3});
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "one");
        CHECK(watch.ms() == 6);
        CHECK(seen == trace{"0 cancelled", "2 cancelled", "0 cleaned", "2 cleaned"});
    };
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
    CHECK(suppressed.size() == 0);
}

TEST_CASE("later errors go to on_suppressed") {
    event_log suppressed;
    auto const body = []() -> task<> {
        auto const all_fail = [](int i) -> task<> {
            co_await this_task::yield();
            throw oops(std::to_string(i));
        };
        CHECK_THROWS_WITH_AS(co_await batch(std::views::iota(0, 3), all_fail), "0", oops);
    };
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
    CHECK(suppressed.size() == 2);
}

TEST_CASE("settled: outcomes in input order; errors and individual cancellations stop nothing") {
    auto const body = []() -> task<> {
        auto const one = [](int i) -> task<int> {
            if (i == 1) {
                throw oops("one");
            }
            if (i == 2) {
                this_task::cancel();
                co_await this_task::yield();
            }
            co_return i;
        };
        auto const o = co_await batch(settled, std::views::iota(0, 4), one, {.limit = 1});
        REQUIRE(o.size() == 4);
        CHECK(o[0].value() == 0);
        CHECK_THROWS_AS((void)o[1].value(), oops);
        CHECK(o[2].cancelled());
        CHECK(o[3].value() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("D4: an item that cancels itself fails the batch with child_cancelled") {
    auto const body = []() -> task<> {
        auto const one = [](int i) -> task<int> {
            if (i == 2) {
                this_task::cancel();
                co_await this_task::yield();
            }
            co_return i;
        };
        CHECK_THROWS_AS(co_await batch(std::views::iota(0, 4), one, {.limit = 1}), child_cancelled);
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("batch_each: wait_all runs everything and throws the first error; settle throws nothing") {
    auto const body = []() -> task<> {
        int ran = 0;
        auto const one = [&](int i) -> task<> {
            ++ran;
            if (i % 2 == 0) {
                throw oops(std::to_string(i));
            }
            co_return;
        };
        progress last;
        auto const keep = [&](progress const& p) { last = p; };
        CHECK_THROWS_WITH_AS(co_await batch_each(std::views::iota(0, 5), one, {.limit = 1, .on_error = wait_all}), "0",
                             oops);
        CHECK(ran == 5);
        co_await batch_each(std::views::iota(0, 5), one, {.limit = 1, .on_error = settle}).on_progress(keep);
        CHECK(ran == 10);
        CHECK(last == progress{.done = 5, .failed = 3, .in_flight = 0, .total = 5});
        CHECK_THROWS_AS(co_await batch_each(std::views::iota(0, 5), one, {.limit = 1}), oops);
        CHECK(ran == 11);
    };
    config c = simulated();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
    CHECK(suppressed.size() == 2);
}

TEST_CASE("BEY-10: progress is told once for each item, growing by one, up to the total") {
    auto const body = []() -> task<> {
        std::vector<progress> told;
        auto const keep = [&](progress const& p) { told.push_back(p); };
        auto const one = [](int i) -> task<std::expected<int, int>> {
            co_await sleep(std::chrono::milliseconds(i));
            if (i == 1) {
                co_return std::unexpected(7);
            }
            co_return i;
        };
        std::vector const four{0, 1, 2, 3};
        auto const v = co_await batch(four, one, {.limit = 2}).on_progress(keep);
        CHECK(v[1].error() == 7);
        REQUIRE(told.size() == 4);
        for (std::size_t i = 0; i < 4; ++i) {
            CHECK(told[i].done == i + 1);
            CHECK(told[i].total == 4);
        }
        CHECK(told[0].failed == 0);
        CHECK(told[3].failed == 1);
        CHECK(told[1].in_flight == 1);
        CHECK(told[3].in_flight == 0);

        told.clear();
        auto endless = std::views::iota(0) | std::views::take_while([](int i) { return i < 3; });
        co_await batch(endless, one, {.limit = 1, .expected_is_value = true}).on_progress(keep);
        CHECK(told.front().total == std::nullopt);
        CHECK(told.back() == progress{.done = 3, .failed = 0, .in_flight = 0, .total = 3});
    };
    run(body(), simulated());
}

TEST_CASE("what the range, the progress function or the predicate throws ends the batch") {
    auto const body = []() -> task<> {
        auto const one = [](int i) -> task<int> {
            co_await sleep(1ms);
            co_return i;
        };
        auto bad = std::views::iota(0) | std::views::transform([](int i) {
                       if (i == 3) {
                           throw oops("range");
                       }
                       return i;
                   });
        CHECK_THROWS_WITH_AS(co_await batch(bad, one, {.limit = 2}), "range", oops);
        auto const throws = [](progress const&) { throw oops("progress"); };
        CHECK_THROWS_WITH_AS(co_await batch(settled, std::views::iota(0, 9), one).on_progress(throws), "progress", oops);
        auto const fails = [](int) -> task<int> { throw oops("item"); };
        auto const pred = [](std::exception_ptr) -> bool { throw oops("predicate"); };
        CHECK_THROWS_WITH_AS(
            co_await batch(settled, std::views::iota(0, 9), fails, {.limit = 1, .retry = {.attempts = 2}}).retry_if(pred),
            "predicate", oops);
    };
    config c = simulated();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
}

TEST_CASE("options out of range are refused before anything starts") {
    auto const one = [](int i) -> task<int> { co_return i; };
    std::vector<int> const in{1};
    CHECK_THROWS_AS((void)batch(in, one, {.limit = 0}), std::invalid_argument);
    CHECK_THROWS_AS((void)batch(in, one, {.limit = -1}), std::invalid_argument);
    CHECK_THROWS_AS((void)batch(in, one, {.rate = -1}), std::invalid_argument);
    CHECK_THROWS_AS((void)batch(in, one, {.retry = {.attempts = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((void)batch(in, one, {.per_item_timeout = -1ms}), std::invalid_argument);
    auto const takes = [](std::unique_ptr<int> p) -> task<int> { co_return *p; };
    CHECK_THROWS_AS((void)batch(std::vector<std::unique_ptr<int>>(1), takes, {.retry = {.attempts = 2}}), usage_error);
    static_assert(std::is_trivially_destructible_v<batch_options>);
}

} // namespace
