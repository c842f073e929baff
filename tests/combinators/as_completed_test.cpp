// as_completed: results in the order of the ends, and what happens to tasks that nobody waits for any more.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/counting_source.hpp>
#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// One task for each delay, in milliseconds, which is its value.
template <class... Delays>
std::vector<task<int>> napping(Delays... delays) {
    std::vector<task<int>> tasks;
    (tasks.push_back(after(std::chrono::milliseconds(delays), delays)), ...);
    return tasks;
}

TEST_CASE("ASC-01, ASC-11, BEY-11: items come in the order of the ends and tell which task it was") {
    auto const body = []() -> task<> {
        std::vector<std::pair<std::size_t, int>> seen;
        auto collect = [&](auto& s) -> task<std::size_t> {
            while (auto item = co_await s.next()) {
                seen.emplace_back(item->index, item->get());
            }
            CHECK_FALSE(co_await s.next());
            co_return seen.size();
        };
        CHECK(co_await as_completed(napping(30, 10, 20), collect) == 3);
        CHECK(seen == std::vector<std::pair<std::size_t, int>>{{1, 10}, {2, 20}, {0, 30}});
        seen.clear();
        CHECK(co_await as_completed(napping(), collect) == 0);
    };
    run(body(), simulated());
}

TEST_CASE("ASC-02, ASC-03: when the time is up, what had ended is given first, then timeout_error") {
    trace seen;
    auto const consume = [&](auto& s, duration pause) -> task<> {
        co_await sleep(pause);
        try {
            while (auto item = co_await s.next()) {
                seen.push_back(std::to_string(item->get()));
            }
            seen.push_back("end");
        } catch (timeout_error const&) {
            seen.push_back("timeout");
        }
    };
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        co_await as_completed({.timeout = 100ms}, napping(10, 50, 500), consume, 70ms);
        CHECK(watch.ms() == 100);
        CHECK(seen == trace{"10", "50", "timeout"});
        seen.clear();
        co_await as_completed({.timeout = 5ms}, napping(10, 5), consume, 20ms);
        CHECK(seen == trace{"5", "10", "end"});  // all had ended before somebody asked
        seen.clear();
        stopwatch const unused;
        co_await as_completed({.timeout = 1h}, napping(10, 5), consume, 0ms);
        CHECK(seen == trace{"5", "10", "end"});
        CHECK(unused.ms() == 10);
        seen.clear();
        auto handles = std::vector<join_handle<int>>();
        handles.push_back(spawn(after(10ms, 10)));
        handles.push_back(spawn(after(30ms, 30)));
        auto s = as_completed(handles, {.timeout = 20ms});
        co_await consume(s, 0ms);
        CHECK(seen == trace{"10", "timeout"});
        CHECK_FALSE(handles[1].done());
        CHECK(co_await how(s.next()) == "timeout");
        co_await sleep(20ms);
        auto late = co_await s.next();
        CHECK(late->index == 1);
        CHECK_FALSE(co_await s.next());
    };
    run(body(), simulated());
}

TEST_CASE("ASC-04, ASC-05: several consumers: first come, first served; each item goes to one of them") {
    trace seen;
    auto const take = [&](auto& s, std::string name) -> task<> {
        auto item = co_await s.next();
        seen.push_back(name + (item ? std::to_string(item->get()) : "-"));
    };
    auto const body = [&]() -> task<> {
        co_await as_completed(napping(30, 10, 20), [&](auto& s) -> task<> {
            co_await gather(take(s, "a"), take(s, "b"), take(s, "c"), take(s, "d"));
        });
    };
    run(body(), simulated());
    std::ranges::sort(seen);
    CHECK(seen == trace{"a10", "b20", "c30", "d-"});

    for (unsigned const workers : {2U, 8U}) {
        std::atomic<int> received{0};
        std::atomic<long> sum{0};
        auto const work = [](int i) -> task<int> {
            co_await this_task::yield();
            co_return i;
        };
        auto const drain = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                received.fetch_add(1);
                sum.fetch_add(item->get());
            }
        };
        auto const several = [&]() -> task<> {
            co_await as_completed(std::views::iota(0, 5000) | std::views::transform(work),
                                  [&](auto& s) -> task<> { co_await gather(drain(s), drain(s), drain(s), drain(s)); },
                                  {.limit = 16});
        };
        run(several(), threads(workers));
        CHECK(received == 5000);
        CHECK(sum == 5000L * 4999 / 2);
    }
}

TEST_CASE(
    "ASC-06, ASC-07, ASC-08: over handles: the caller's own, each once; a stream can be left and taken up again") {
    auto const body = []() -> task<> {
        std::array handles{spawn(after(30ms, 0)).share(), spawn(after(10ms, 1)).share(), shared_handle<int>(),
                           spawn(after(20ms, 3)).share()};
        handles[2] = handles[1];
        auto s = as_completed(handles);
        auto first = co_await s.next();
        REQUIRE(first);
        CHECK(first->index == 1);
        CHECK(&first->handle == &handles[1]);
        CHECK(first->get() == 1);
        co_await sleep(50ms);
        std::vector<std::size_t> rest;
        while (auto item = co_await s.next()) {
            rest.push_back(item->index);
        }
        CHECK(rest == std::vector<std::size_t>{3, 0});

        std::vector<join_handle<std::unique_ptr<int>>> unique;
        unique.push_back(spawn(after(2ms, std::make_unique<int>(7))));
        unique.push_back(spawn(after(1ms, std::make_unique<int>(8))));
        int sum = 0;
        auto t = as_completed(unique);
        while (auto item = co_await t.next()) {
            auto const value = co_await std::move(item->handle);
            sum += *value;
        }
        CHECK(sum == 15);

        auto fails = spawn(fails_after(2ms, "bad"));
        auto plain = spawn(nap(1ms));
        std::vector<handle_ref> refs;
        refs.push_back(fails.ref());
        refs.push_back(plain.ref());
        auto u = as_completed(refs);
        (co_await u.next())->get();
        auto last = co_await u.next();
        CHECK(last->handle == fails.ref());
        CHECK_THROWS_AS(last->get(), oops);
    };
    run(body(), simulated());
}

TEST_CASE("handles: leaving early, or being cancelled, leaves the tasks alone") {
    auto const body = []() -> task<> {
        std::vector<join_handle<int>> handles;
        handles.push_back(spawn(after(5ms, 1)));
        handles.push_back(spawn(after(9ms, 2)));
        auto waits = [&]() -> task<> {
            auto s = as_completed(handles);
            while (co_await s.next()) {}
        };
        auto h = spawn(waits());
        co_await sleep(6ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(co_await handles[1] == 2);
    };
    run(body(), simulated());
}

TEST_CASE("ASC-12: an error is thrown where its item is asked for, and the stream goes on") {
    auto const body = []() -> task<> {
        std::vector<task<int>> tasks;
        tasks.push_back(after(1ms, 1));
        tasks.push_back(fails_after(2ms, "two"));
        tasks.push_back(after(3ms, 3));
        trace seen;
        co_await as_completed(std::move(tasks), [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                try {
                    seen.push_back(std::to_string(item->get()));
                } catch (oops const& e) {
                    seen.push_back(e.what());
                }
            }
        });
        CHECK(seen == trace{"1", "two", "3"});
    };
    run(body(), simulated());
}

TEST_CASE("ASC-13, BEY-12, D14: however the body is left, the rest is cancelled, and has ended") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    tally of;
    auto const holds = [&](duration d, token) -> task<int> {
        co_await sleep(d);
        co_return 1;
    };
    auto const body = [&]() -> task<> {
        trace seen;
        auto const tasks = [&] {
            std::vector<task<int>> all;
            all.push_back(after(1ms, 1));
            all.push_back(cleans_up(seen, "slow", 1h, 4ms));
            all.push_back(fails_after(1ms, "unread"));
            all.push_back(holds(1h, token(of)));
            return all;
        };
        stopwatch const watch;
        co_await as_completed(tasks(), [&](auto& s) -> task<> { (void)co_await s.next(); });
        CHECK(watch.ms() == 5);
        CHECK(seen == trace{"slow cancelled", "slow cleaned"});
        CHECK(of.alive == 0);
        CHECK(suppressed.size() == 1);

        auto throws = [&](auto& s) -> task<> {
            (void)co_await s.next();
            throw oops("consumer");
        };
        CHECK(co_await how(as_completed(tasks(), throws)) == "consumer");
        CHECK(of.alive == 0);

        CHECK(co_await how(timeout(3ms, as_completed(tasks(), [&](auto& s) -> task<> {
                                       while (co_await s.next()) {}
                                   }))) == "timeout");
        CHECK(of.alive == 0);
        {
            auto never = as_completed(tasks(), [](auto&) -> task<> { co_return; });
        }
        CHECK(of.alive == 0);
    };
    run(body(), c);
}

TEST_CASE("GATHER-14: a request while the rest unwinds is passed on once, and stays pending") {
    trace seen;
    int deliveries = 0;
    auto const body = [&]() -> task<> {
        bool pending = false;
        auto leaves = [&]() -> task<> {
            std::vector<task<int>> tasks;
            tasks.push_back(resists(deliveries, 3, 10ms));
            tasks.push_back(after(5ms, 1));
            tasks.push_back(cleans_up(seen, "quick", 1h, 1ms));
            co_await as_completed(std::move(tasks), [&](auto& s) -> task<> { (void)co_await s.next(); });
            try {
                co_await sleep(1ms);
            } catch (task_cancelled const&) {
                pending = true;
            }
        };
        auto h = spawn(leaves());
        co_await sleep(8ms);  // left at 5 ms; "quick" has ended at 6 ms
        h.cancel();
        co_await wait_for(h);
        CHECK(pending);
        CHECK(deliveries == 2);
        CHECK(seen == trace{"quick cancelled", "quick cleaned"});

        // A request that is pending when the body ends is in what the tasks are told then.
        seen.clear();
        auto ends = [&]() -> task<> {
            std::vector<task<int>> tasks;
            tasks.push_back(cleans_up(seen, "slow", 1h, 2ms));
            tasks.push_back(after(1ms, 1));
            co_await as_completed(std::move(tasks), [](auto& s) -> task<> {
                (void)co_await s.next();
                this_task::cancel();
            });
        };
        co_await spawn(ends());
        CHECK(seen == trace{"slow cancelled", "slow cleaned"});
    };
    run(body(), simulated());
}

TEST_CASE("ASC-15, BEY-03: limit: lazy, at most so many tasks and unread results; the consumer sets the pace") {
    auto const body = []() -> task<> {
        int made = 0;
        int read = 0;
        int most = 0;
        auto consume = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                CHECK(item->get() == read);
                most = std::max(most, made - read);
                ++read;
                co_await sleep(3ms);
            }
        };
        co_await as_completed(counting_source(200, made), consume, {.limit = 5});
        CHECK(made == 200);
        CHECK(read == 200);
        CHECK(most <= 6);  // one of them was just handed over

        // Constant memory: records and frames are used again.
        int begun = 0;
        auto const ready = [&](int i) -> task<int> {
            ++begun;
            co_return i;
        };
        long sum = 0;
        int const inputs = static_cast<int>(rounds(1'000'000));
        int ahead = 0;
        auto add = [&](auto& s) -> task<> {
            int seen = 0;
            while (auto item = co_await s.next()) {
                sum += item->get();
                ahead = std::max(ahead, begun - ++seen);
            }
        };
        co_await as_completed(std::views::iota(0, inputs) | std::views::transform(ready), add, {.limit = 4});
        CHECK(sum == static_cast<long>(inputs) * (inputs - 1) / 2);
        CHECK(ahead <= 4);
    };
    run(body(), simulated());
}

TEST_CASE("what the range throws comes out of next(), once; the tasks that were made go on") {
    auto const body = []() -> task<> {
        auto const make = [](int i) {
            if (i == 2) {
                throw oops("range");
            }
            return after(1ms, i);
        };
        trace seen;
        co_await as_completed(std::views::iota(0, 5) | std::views::transform(make), [&](auto& s) -> task<> {
            for (int i = 0; i < 4; ++i) {
                try {
                    auto item = co_await s.next();
                    seen.push_back(item ? std::to_string(item->get()) : "end");
                } catch (oops const& e) {
                    seen.push_back(e.what());
                }
            }
        });
        CHECK(seen == trace{"range", "0", "1", "end"});
    };
    run(body(), simulated());
}

TEST_CASE("ASC-14: who waits for whom can be seen") {
    auto const body = []() -> task<> {
        auto h = spawn(as_completed(napping(1000), [](auto& s) -> task<> { (void)co_await s.next(); }));
        co_await sleep(1ms);
        CHECK(h.record().describe_wait() == "the next task to end");
        co_await std::move(h);
    };
    run(body(), simulated());
}

}  // namespace
