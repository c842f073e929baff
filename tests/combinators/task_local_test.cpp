// What the children of combinators, and functions on the blocking pool, see of task_local variables.

#include <magpie/runtime/task_local.hpp>

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/first_success.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/to_thread.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task_local<int> number;

task<int> reads(int) {
    co_await this_task::yield();
    co_return number.get();
}
task<int> sets(int value) {
    number.set(number.get() + value);
    co_await this_task::yield();
    co_return number.get();
}

TEST_CASE("CTX-01: gather's children see the parent's values, and what they set stays theirs") {
    auto const body = []() -> task<> {
        number.set(100);
        auto const [a, b, c] = co_await gather(sets(1), sets(2), reads(0));
        CHECK(a == 101);
        CHECK(b == 102);
        CHECK(c == 100);
        CHECK(number.get() == 100);
        auto const nested = [](int own) -> task<int> {
            number.set(own);
            auto const [x, y] = co_await gather(sets(1), reads(0));
            CHECK(x == own + 1);
            CHECK(y == own);
            auto const child = spawn(reads(0));  // of a child: the child's
            CHECK(number.get() == own);
            co_return co_await reads(0);
        };
        auto const [n, m] = co_await gather(nested(7), nested(8));
        CHECK(n == 7);
        CHECK(m == 8);
        CHECK(number.get() == 100);
    };
    run(body(), simulated());
    run(body(), threads(1));
}

TEST_CASE("a child that sets nothing may spawn: the task has the values of the child's parent") {
    auto const body = []() -> task<> {
        std::vector<join_handle<int>> left;
        auto const spawns = [&]() -> task<> {
            left.push_back(spawn([]() -> task<int> {
                co_await sleep(1ms);
                co_return number.get();
            }));
            co_return;
        };
        auto const joins = [&]() -> task<> {
            number.set(5);
            co_await gather(spawns(), spawns());
            number.set(6);
        };
        co_await spawn(joins());  // gone, with its values, when the spawned ones read
        for (auto& each : left) {
            CHECK(co_await std::move(each) == 5);
        }
    };
    run(body(), simulated());
}

TEST_CASE("children of a long gather keep what was set when each was made, while their parent sets other values") {
    constexpr int n = 1000;
    auto const keeps = []() -> task<int> {
        int const& mine = number.get();
        int const first = mine;
        co_await this_task::yield();
        co_return mine == first ? first : -1;
    };
    auto const body = [&]() -> task<> {
        auto const makes = [&](int i) {
            number.set(i);
            return keeps();
        };
        auto const v = co_await gather(std::views::iota(0, n) | std::views::transform(makes));
        CHECK(std::ranges::equal(v, std::views::iota(0, n)));
    };
    for (unsigned const workers : {1U, 4U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(20); ++i) {
            rt.block_on(body());
        }
    }
}

TEST_CASE("children that are made one by one keep what was set when each was started") {
    auto const body = []() -> task<> {
        auto const makes = [](int i) {
            number.set(i);  // in the parent: the range is lazy
            return reads(0);
        };
        auto const v = co_await gather(std::views::iota(0, 6) | std::views::transform(makes), {.limit = 2});
        CHECK(v == std::vector{0, 1, 2, 3, 4, 5});
        std::vector<int> const items{10, 20, 30, 40};
        auto const w = co_await batch(items, makes, {.limit = 2});
        CHECK(w == items);
    };
    run(body(), simulated());
}

TEST_CASE("the tasks of as_completed, select and first_success see their parent's values, and theirs stay theirs") {
    auto const body = []() -> task<> {
        number.set(3);
        int sum = 0;
        auto const adds_up = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                sum += item->get();
            }
        };
        std::vector<task<int>> all;
        all.push_back(sets(1));
        all.push_back(sets(2));
        co_await as_completed(std::move(all), adds_up);
        CHECK(sum == 4 + 5);
        auto const first = co_await select(reads(0), sleep(std::chrono::hours(1)));
        CHECK(std::get<0>(first.value) == 3);
        std::vector<task<int>> one;
        one.push_back(sets(4));
        CHECK((co_await first_success(std::move(one))).value == 7);
        CHECK(number.get() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("a group's children have a snapshot; its body, and what runs within the task, shares the task's values") {
    auto const body = []() -> task<> {
        number.set(1);
        int child = 0;
        auto const keeps = [&]() -> task<> {
            co_await this_task::yield();
            child = number.get();
            number.set(50);
        };
        co_await with_task_group([&](task_group& g) -> task<> {
            g.spawn(keeps());
            number.set(2);
            co_return;
        });
        CHECK(child == 1);
        CHECK(number.get() == 2);
        CHECK(co_await timeout(1s, sets(1)) == 3);
        CHECK(number.get() == 3);
        CHECK(co_await shielded(reads(0)) == 3);
    };
    run(body(), simulated());
}

TEST_CASE("TH-04, CTX-07: a function on the blocking pool reads the task's values, also when it has gone, and sets none") {
    std::atomic<bool> begun{false};
    std::atomic<int> abandoned_saw{0};
    {
        runtime rt(threads(2));
        auto const body = [&]() -> task<> {
            number.set(3);
            CHECK(co_await to_thread([] { return number.get(); }) == 3);
            bool refused = false;
            try {
                co_await to_thread([] { number.set(4); });
            } catch (usage_error const&) {
                refused = true;
            }
            CHECK(refused);
            CHECK(number.get() == 3);
            auto const leaves = [&]() -> task<> {
                number.set(9);
                auto const slow = [&](stop_token stop) {
                    begun = true;
                    until([&] { return stop.stop_requested(); });
                    abandoned_saw = number.get();
                };
                co_await to_thread(abandon_on_cancel, slow);
            };
            auto h = spawn(leaves());
            while (!begun) {
                co_await this_task::yield();
            }
            h.cancel();
            co_await sleep(1ms);
            CHECK(co_await to_thread([] { return number.get(); }) == 3);
        };
        rt.block_on(body());
        auto const nothing_set = []() -> task<> { CHECK(co_await to_thread([] { return number.get(); }) == 0); };
        rt.block_on(nothing_set());
    }
    CHECK(abandoned_saw == 9);
}

// Each level adds its depth before it forks; the leaves must have the sum of their own way.
task<int> tree(int depth, int expected) {
    if (number.get() != expected) {
        co_return 1;
    }
    if (depth == 0) {
        co_return 0;
    }
    bool const own = depth % 3 == 0;  // some set, some pass on what they have borrowed
    if (own) {
        number.set(expected + depth);
    }
    int const below = own ? expected + depth : expected;
    auto const [a, b, c] = co_await gather(tree(depth - 1, below), tree(depth - 1, below), tree(depth - 1, below));
    co_return a + b + c + (number.get() == below ? 0 : 1);
}

TEST_CASE("CTX-03: forked children that are stolen see what they were forked with") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<int> {
            number.set(1000);
            co_return co_await tree(sanitized ? 6 : 9, 1000);
        };
        for (unsigned i = 0; i < rounds(10); ++i) {
            CHECK(rt.block_on(body()) == 0);
        }
    }
}

} // namespace
