// An async_generator in the place of a range.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Makes a task each millisecond; each takes `work`.
async_generator<task<int>> jobs(int count, duration work, int& made) {
    for (int i = 0; i < count; ++i) {
        co_await sleep(1ms);
        ++made;
        co_yield after(work, i);
    }
}

// Never gives anything; says when it is cut off.
async_generator<task<int>> silent_after(std::vector<task<int>> first, trace& seen) {
    for (auto& each : first) {
        co_yield std::move(each);
    }
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        seen.push_back("generator cancelled");
        throw;
    }
}

template <class... Tasks>
std::vector<task<int>> list(Tasks... tasks) {
    std::vector<task<int>> all;
    (all.push_back(std::move(tasks)), ...);
    return all;
}

TEST_CASE("GATHER-27: gather of an async generator: tasks start as they are given; results in their order") {
    auto const body = []() -> task<> {
        int made = 0;
        stopwatch const watch;
        auto const v = co_await gather(jobs(5, 10ms, made));
        CHECK(v == std::vector{0, 1, 2, 3, 4});
        CHECK(watch.ms() == 15);
        stopwatch const bounded;
        auto const w = co_await gather(jobs(6, 10ms, made), {.limit = 2});
        CHECK(w == std::vector{0, 1, 2, 3, 4, 5});
        CHECK(bounded.ms() == 34);  // each further one is made when a place is free, which takes 1 ms
        auto kept = jobs(2, 1ms, made);
        CHECK((co_await gather(kept)).size() == 2);
        CHECK((co_await gather(jobs(0, 1ms, made))).empty());
        auto const naps = []() -> async_generator<task<>> {
            co_yield nap(1ms);
            co_yield nap(2ms);
        };
        co_await gather(naps());
        CHECK((co_await gather(settled, naps())).size() == 2);
    };
    run(body(), simulated());
}

TEST_CASE(
    "gather: an error cancels the others and the generator; wait_all and settled go on; the generator's own error") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    trace seen;
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        CHECK(co_await how(gather(silent_after(
                  list(cleans_up(seen, "a", 1h, 3ms), fails_after(2ms, "bad"), after(1h, 1)), seen))) == "bad");
        CHECK(watch.ms() == 5);
        std::ranges::sort(seen);
        CHECK(seen == trace{"a cancelled", "a cleaned", "generator cancelled"});

        auto const some = [](bool fails) -> async_generator<task<int>> {
            co_yield fails_after(1ms, "one");
            co_yield after(3ms, 2);
            co_yield fails_after(2ms, "three");
            if (fails) {
                throw oops("generator");
            }
        };
        auto const o = co_await gather(settled, some(false));
        REQUIRE(o.size() == 3);
        CHECK(o[1].value() == 2);
        CHECK_FALSE(o[2].has_value());
        CHECK(suppressed.size() == 0);
        CHECK(co_await how(gather(wait_all, some(false))) == "one");
        CHECK(suppressed.size() == 1);
        CHECK(co_await how(gather(settled, some(true))) == "generator");
    };
    run(body(), c);
}

TEST_CASE("gather: cancelling who awaits cancels the tasks and the generator, each once, and joins them") {
    trace seen;
    int deliveries = 0;
    auto const body = [&]() -> task<> {
        auto h = spawn(gather(
            silent_after(
                list(cleans_up(seen, "a", 1h, 3ms), cleans_up(seen, "b", 1h, 1ms), resists(deliveries, 9, 9ms)), seen),
            {.limit = 8}));
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(deliveries == 1);
        std::ranges::sort(seen);
        CHECK(seen == trace{"a cancelled", "a cleaned", "b cancelled", "b cleaned", "generator cancelled"});
        seen.clear();
        CHECK(co_await how(timeout(5ms, gather(silent_after(list(after(1ms, 1)), seen)))) == "timeout");
        CHECK(seen.size() == 1);
    };
    run(body(), simulated());
}

TEST_CASE("ASC-15, BEY-03: as_completed over an async generator: lazy, bounded, cut off when the body leaves") {
    trace seen;
    auto const body = [&]() -> task<> {
        int made = 0;
        int read = 0;
        int ahead = 0;
        auto slow = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                CHECK(item->get() == read);
                ahead = std::max(ahead, made - ++read);
                co_await sleep(5ms);
            }
        };
        co_await as_completed(jobs(50, 1ms, made), slow, {.limit = 3});
        CHECK(read == 50);
        CHECK(ahead <= 3);

        auto one = [&](auto& s) -> task<> { CHECK((co_await s.next())->get() == 7); };
        co_await as_completed(silent_after(list(after(1ms, 7), cleans_up(seen, "a", 1h, 1ms)), seen), one);
        std::ranges::sort(seen);
        CHECK(seen == trace{"a cancelled", "a cleaned", "generator cancelled"});

        seen.clear();
        auto const fails = []() -> async_generator<task<int>> {
            co_yield after(3ms, 1);
            co_await sleep(1ms);
            throw oops("generator");
        };
        auto all = [&](auto& s) -> task<> {
            for (int i = 0; i < 3; ++i) {
                try {
                    auto item = co_await s.next();
                    seen.push_back(item ? std::to_string(item->get()) : "end");
                } catch (oops const& e) {
                    seen.push_back(e.what());
                }
            }
        };
        co_await as_completed(fails(), all);
        CHECK(seen == trace{"generator", "1", "end"});
        seen.clear();
        co_await as_completed(silent_after(list(after(1ms, 1)), seen),
                              [&](auto& s) -> task<> {
                                  (void)co_await s.next();
                                  CHECK(co_await how(s.next()) == "timeout");
                              },
                              {.timeout = 4ms});
        CHECK(seen.size() == 1);
    };
    run(body(), simulated());
}

// The items of a queue, until it is closed.
async_generator<int> items_of(queue<int>& from) {
    while (auto item = co_await from.next()) {
        co_yield *item;
    }
}

TEST_CASE("a generator that never waits, and never ends, is cut off when the body leaves") {
    auto const endless = []() -> async_generator<task<int>> {
        for (int i = 0;; ++i) {
            co_yield after(0ms, i);
        }
    };
    auto const body = [&]() -> task<> {
        auto one = [](auto& s) -> task<> { (void)co_await s.next(); };
        co_await as_completed(endless(), one);
    };
    run(body(), threads(2));
}

TEST_CASE("BEY-03: batch, batch_each and batch_stream over an async generator") {
    auto const body = []() -> task<> {
        queue<int> source;
        auto feeds = [&]() -> task<> {
            for (int i = 0; i < 6; ++i) {
                co_await sleep(1ms);
                co_await source.put(i);
            }
            source.close();
        };
        auto const work = [](int i) { return after(10ms, i * 2); };
        auto feeder = spawn(feeds());
        stopwatch const watch;
        auto const v = co_await batch(items_of(source), work, {.limit = 3});
        CHECK(v == std::vector{0, 2, 4, 6, 8, 10});
        CHECK(watch.ms() == 23);
        co_await std::move(feeder);

        // References are copied: what they refer to changes before the item runs.
        auto const refers = []() -> async_generator<std::string&> {
            std::string text;
            for (int i = 0; i < 3; ++i) {
                text = std::string(30, static_cast<char>('a' + i));
                co_yield text;
            }
        };
        auto const keeps = [](std::string const& text) -> task<std::string> {
            co_await sleep(1ms);
            co_return text;
        };
        auto const texts = co_await batch(refers(), keeps);
        REQUIRE(texts.size() == 3);
        CHECK(texts[0] == std::string(30, 'a'));
        auto const unique = []() -> async_generator<std::unique_ptr<int>> {
            co_yield std::make_unique<int>(3);
            co_yield std::make_unique<int>(4);
        };
        int sum = 0;
        auto const adds = [&](std::unique_ptr<int> p) -> task<> {
            sum += *p;
            co_return;
        };
        co_await batch_each(unique(), adds);
        CHECK(sum == 7);
        auto numbers = []() -> async_generator<int> {
            for (int i = 0; i < 100; ++i) {
                co_yield i;
            }
        };
        int begun = 0;
        int ahead = 0;
        int read = 0;
        auto const counts = [&](int i) {
            ++begun;
            return after(1ms, i);
        };
        auto reads = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                ahead = std::max(ahead, begun - ++read);
                co_await sleep(3ms);
            }
        };
        co_await batch_stream(numbers(), counts, reads, {.limit = 4});
        CHECK(read == 100);
        CHECK(ahead <= 4);
    };
    run(body(), simulated());
}

TEST_CASE("batch: an item's error, a cancellation and a consumer that leaves reach the generator where it waits") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto const waits = [&]() -> async_generator<int> {
            co_yield 1;
            co_yield 2;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                seen.push_back("generator cancelled");
                throw;
            }
        };
        auto const fails = [&](int i) { return i == 2 ? fails_after(3ms, "two") : cleans_up(seen, "one", 1h, 2ms); };
        stopwatch const watch;
        CHECK(co_await how(batch(waits(), fails)) == "two");
        CHECK(watch.ms() == 5);
        CHECK(seen == trace{"one cancelled", "generator cancelled", "one cleaned"});
        seen.clear();
        auto const naps = [](int) { return nap(1ms); };
        auto h = spawn(batch_each(waits(), naps));
        co_await sleep(10ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(seen == trace{"generator cancelled"});
        seen.clear();
        auto const gives = [](int i) { return after(1ms, i); };
        auto leaves = [](auto& s) -> task<> { (void)co_await s.next(); };
        co_await batch_stream(waits(), gives, leaves, {.limit = 4});
        CHECK(seen == trace{"generator cancelled"});
        auto const breaks = []() -> async_generator<int> {
            co_yield 1;
            throw oops("generator");
        };
        CHECK(co_await how(batch(settled, breaks(), gives)) == "generator");
        queue<int> nothing;
        CHECK(co_await how(timeout(5ms, batch(items_of(nothing), gives))) == "timeout");
    };
    run(body(), simulated());
}

}  // namespace
