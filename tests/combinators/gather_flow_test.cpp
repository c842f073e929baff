// gather of long ranges, whose tasks are made while others of them run. Short ranges: gather_range_test.cpp. Under the
// simulated clock all tasks of a range are made at once, so that these run on the real one.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/counting_source.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr int part = static_cast<int>(detail::gather_flow_base::part_size);

// Some end at once, some yield, some sleep.
task<int> mixed(int i) {
    for (int k = 0; k < i % 5 - 2; ++k) {
        co_await this_task::yield();
    }
    if (i % 7 == 3) {
        co_await sleep(std::chrono::microseconds(i % 11));
    }
    co_return i;
}

TEST_CASE("GATHER-01, GATHER-27: long ranges of every kind give their results in order") {
    int const many = static_cast<int>(rounds(20'000));
    auto const void_of = [](int i) -> task<> { (void)co_await mixed(i); };
    auto const fails = [](int i) -> task<int> {
        int const value = co_await mixed(i);
        if (i % 3 == 0) {
            throw oops("third");
        }
        co_return value;
    };
    auto const body = [&]() -> task<> {
        for (int const count : {part - 1, part, part + 1, 2 * part, 2 * part + 1, many}) {
            auto const numbers = std::views::iota(0, count);
            auto const a = co_await gather(numbers | std::views::transform(mixed));
            CHECK(std::ranges::equal(a, numbers));
            auto const b = co_await gather(std::views::iota(0, 2 * count) |
                                           std::views::filter([](int i) { return i % 2 == 0; }) |
                                           std::views::transform([](int i) { return mixed(i / 2); }));
            CHECK(std::ranges::equal(b, numbers));
            std::vector<task<int>> tasks;
            for (int const i : numbers) {
                tasks.push_back(mixed(i));
            }
            auto const c = co_await gather(std::move(tasks));
            CHECK(std::ranges::equal(c, numbers));
            co_await gather(numbers | std::views::transform(void_of));
            auto const d = co_await gather(settled, numbers | std::views::transform(fails));
            CHECK(d.size() == static_cast<std::size_t>(count));
            bool right = true;
            for (int const i : numbers) {
                auto const& one = d[static_cast<std::size_t>(i)];
                right = right && (i % 3 == 0 ? one.error() != nullptr && !one.cancelled() : one.value() == i);
            }
            CHECK(right);
        }
        int made = 0;
        auto const e = co_await gather(counting_source(200, made));
        CHECK(made == 200);
        CHECK(std::ranges::equal(e, std::views::iota(0, 200)));
    };
    run(body(), threads(1));
    run(body(), threads(2));
    run(body(), threads(8));
}

TEST_CASE("tasks that end at once are made a part at a time, and their memory is used again") {
    tally objects;
    int most = 0;
    auto const holds = [](token) -> task<> { co_return; };
    auto const make = [&](int) {
        most = std::max(most, objects.alive.load() + 1);
        return holds(token(objects));
    };
    auto const body = [&]() -> task<> {
        co_await gather(std::views::iota(0, 10'000) | std::views::transform(make));
    };
    run(body(), threads(1));
    CHECK(objects.made >= 10'000);
    CHECK(most <= part + 2);
    CHECK(objects.alive == 0);
}

TEST_CASE("GATHER-29: tasks that wait do not keep later ones from beginning") {
    auto const body = []() -> task<> {
        int const many = static_cast<int>(rounds(5000));
        std::atomic<int> arrived{0};
        // Each of them goes on only when all have begun.
        auto const meets = [&](int i) -> task<int> {
            arrived.fetch_add(1);
            while (arrived.load() != many) {
                co_await sleep(1ms);
            }
            co_return i;
        };
        auto const v = co_await gather(std::views::iota(0, many) | std::views::transform(meets));
        CHECK(std::ranges::equal(v, std::views::iota(0, many)));
    };
    run(body(), threads(1));
    run(body(), threads(2));
}

TEST_CASE("GATHER-04: after an error nothing more is made, and those that were made do not begin") {
    tally objects;
    int made = 0;
    std::atomic<int> begun{0};
    auto const work = [&](int i, token) -> task<int> {
        begun.fetch_add(1);
        if (i == 0) {
            throw oops("first");
        }
        co_return i;
    };
    auto const make = [&](int i) {
        ++made;
        return work(i, token(objects));
    };
    auto const body = [&](error_policy policy) -> task<> {
        std::string what;
        try {
            co_await gather(policy, std::views::iota(0, 1000) | std::views::transform(make));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "first");
        CHECK(objects.alive == 0);
    };
    run(body(error_policy::cancel_rest), threads(1));
    CHECK(made == part);
    CHECK(begun == 1);
    made = 0;
    begun = 0;
    run(body(wait_all), threads(2));
    CHECK(made == 1000);
    CHECK(begun == 1000);
}

TEST_CASE("GATHER-05: a range that throws in the middle: those that have begun are cancelled and joined first") {
    tally objects;
    std::atomic<int> cleaned{0};
    auto const waits = [&](token) -> task<> {
        bool cancelled = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            cancelled = true;
        }
        if (cancelled) {
            co_await sleep(1us);
            cleaned.fetch_add(1);
            throw task_cancelled();
        }
    };
    auto const make = [&](int i) {
        if (i == 5 * part + 1) {
            throw oops("range");
        }
        return waits(token(objects));
    };
    auto const body = [&]() -> task<> {
        std::string what;
        try {
            co_await gather(wait_all, std::views::iota(0, 1000) | std::views::transform(make));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "range");
        CHECK(objects.alive == 0);
    };
    run(body(), threads(1));
    CHECK(cleaned == 5 * part);
    run(body(), threads(2));
}

TEST_CASE("GATHER-14, CAN-10: one request reaches each of very many children once; a second one once more") {
    for (unsigned const workers : {1U, 2U, 8U}) {
        int const many = static_cast<int>(rounds(5000));
        runtime rt(threads(workers));
        std::atomic<int> asleep{0};
        std::atomic<int> deliveries{0};
        auto const stubborn = [&]() -> task<> {
            for (int times = 0; times < 2; ++times) {
                try {
                    asleep.fetch_add(1);
                    co_await sleep(1h);
                } catch (task_cancelled const&) {
                    deliveries.fetch_add(1);
                }
            }
        };
        auto const body = [&]() -> task<> {
            co_await gather(std::views::iota(0, many) | std::views::transform([&](int) { return stubborn(); }));
        };
        auto h = rt.spawn(body());
        until([&] { return asleep == many; });
        until([&] { return rt.snapshot().totals().timers == static_cast<std::size_t>(many); });
        h.cancel();
        until([&] { return asleep == 2 * many; });
        CHECK(deliveries == many);
        h.cancel();
        h.blocking_wait();
        CHECK(deliveries == 2 * many);
        CHECK(h.cancelled());
    }
}

TEST_CASE("GATHER-14: a request reaches a child that computes while the range is not read to its end") {
    runtime rt(threads(1));
    std::atomic<bool> computes{false};
    int made = 0;
    auto const work = [&](int i) -> task<> {
        if (i == 0) {
            co_await sleep(1us);  // the part's turn is over
        } else if (i == 1) {
            auto const stop = this_task::stop_token();
            computes = true;
            until([&] { return stop.stop_requested(); });
        }
    };
    auto const body = [&]() -> task<> {
        co_await gather(std::views::iota(0, 1000) | std::views::transform([&](int i) {
                            ++made;
                            return work(i);
                        }));
    };
    auto h = rt.spawn(body());
    until([&] { return computes.load(); });
    h.cancel();
    h.blocking_wait();
    CHECK(h.cancelled());
    CHECK(made == part);
}

TEST_CASE("the range's own code runs in the awaiting task") {
    auto const body = []() -> task<> {
        auto const own = this_task::id();
        int strangers = 0;
        co_await gather(std::views::iota(0, 1000) | std::views::transform([&](int i) {
                            strangers += this_task::id() == own ? 0 : 1;
                            return mixed(i);
                        }));
        CHECK(strangers == 0);
        // A request that the range makes: the rest is not made.
        int made = 0;
        bool cancelled = false;
        try {
            co_await gather(std::views::iota(0, 1000) | std::views::transform([&](int i) {
                                if (++made == part + 1) {
                                    this_task::cancel();
                                }
                                return mixed(i);
                            }));
        } catch (task_cancelled const&) {
            cancelled = true;
        }
        CHECK(cancelled);
        CHECK(made == 2 * part);
        this_task::uncancel();
    };
    run(body(), threads(1));
    run(body(), threads(2));
}

TEST_CASE("a long gather of tasks that end at once lets others have their turns") {
    auto const body = []() -> task<> {
        bool over = false;
        long turns = 0;
        auto const counts = [&]() -> task<> {
            while (!over) {
                ++turns;
                co_await this_task::yield();
            }
        };
        auto other = spawn(counts());
        int const many = 100'000;
        co_await gather(std::views::iota(0, many) | std::views::transform([](int) -> task<> { co_return; }));
        over = true;
        co_await std::move(other);
        CHECK(turns > many / 200);
    };
    run(body(), threads(1));
}

TEST_CASE("a child that blocks its worker keeps neither its siblings nor the rest of the range from running") {
    int const many = 1000;
    for (int const bad : {0, 500}) {  // 500: the first ones were too quick to be worth exposing
        config c = threads(2);
        c.stall_threshold = 20ms;
        std::atomic<int> ended{0};
        auto const work = [&](int i) -> task<> {
            if (i == bad) {
                until([&] { return ended.load() == many - 1; });
            }
            ended.fetch_add(1);
            co_return;
        };
        auto const body = [&]() -> task<> {
            co_await gather(std::views::iota(0, many) | std::views::transform(work));
        };
        run(body(), c);
        CHECK(ended == many);
    }
}

TEST_CASE("GATHER-26, GATHER-15: errors, requests and the ends of many parts, all at once") {
    for (unsigned const workers : {2U, 8U}) {
        tally objects;
        std::atomic<int> suppressed{0};
        config c = threads(workers);
        c.hooks.on_suppressed = [&](event_info const&) { suppressed.fetch_add(1); };
        auto const work = [&](int i, unsigned round, token) -> task<int> {
            int const value = co_await mixed(i + static_cast<int>(round));
            if (round % 3 == 0 && i % 97 == 50) {
                throw oops("child");
            }
            co_return value;
        };
        runtime rt(c);
        for (unsigned round = 0; round < rounds(120); ++round) {
            auto const body = [&]() -> task<> {
                auto const v = co_await gather(std::views::iota(0, 400) | std::views::transform([&](int i) {
                                                   if (round % 7 == 6 && i == 300) {
                                                       throw oops("range");
                                                   }
                                                   return work(i, round, token(objects));
                                               }));
                CHECK(v.size() == 400);
            };
            auto h = rt.spawn(body());
            if (round % 2 == 0) {
                some_moments(round % 50);
                h.cancel();
                if (round % 4 == 0) {
                    h.cancel();
                }
            }
            h.blocking_wait();
            CHECK(objects.alive == 0);
            bool const gave = h.result().has_value();  // looked at in any case: else the error is reported
            if (round % 2 != 0) {
                CHECK(gave == (round % 3 != 0 && round % 7 != 6));
            }
        }
    }
}

TEST_CASE("long ranges nest") {
    auto const inner = [](int n) -> task<long> {
        long sum = 0;
        for (int const each : co_await gather(std::views::iota(0, 200) | std::views::transform(mixed))) {
            sum += each;
        }
        co_return sum + n;
    };
    auto const body = [&]() -> task<> {
        auto const v = co_await gather(std::views::iota(0, 200) | std::views::transform(inner));
        CHECK(v.size() == 200);
        bool right = true;
        for (std::size_t i = 0; i < v.size(); ++i) {
            right = right && v[i] == 19'900 + static_cast<long>(i);
        }
        CHECK(right);
    };
    run(body(), threads(1));
    run(body(), threads(2));
    run(body(), threads(8));
}

}  // namespace
