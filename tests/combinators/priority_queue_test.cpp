#include <magpie/combinators/priority_queue.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

template <class Q>
auto drained(Q& q) {
    std::vector<typename Q::value_type> all;
    while (auto item = q.try_get()) {
        all.push_back(std::move(*item));
    }
    return all;
}

TEST_CASE("Q-01: the smallest leaves first; with another comparison, the first by that") {
    priority_queue<int> q;
    priority_queue<std::string, std::greater<>> most;
    for (int item : {5, 1, 4, 1, 3}) {
        CHECK(q.try_put(item));
        CHECK(most.try_put(std::to_string(item)));
    }
    CHECK(drained(q) == std::vector{1, 1, 3, 4, 5});
    CHECK(drained(most) == std::vector<std::string>{"5", "4", "3", "1", "1"});
}

struct job {
    int urgency;
    int number;
};

TEST_CASE("Q-01: equal priorities leave in the order in which they came, among any number of others") {
    auto const less_urgent = [](job const& a, job const& b) { return a.urgency > b.urgency; };
    auto const leaves_first = [&](job const& a, job const& b) {
        return a.urgency != b.urgency ? less_urgent(a, b) : a.number < b.number;
    };
    std::mt19937 random(7);
    for (int size : {1, 2, 3, 10, 1000, 20'000}) {
        priority_queue<job, decltype(less_urgent)> q(0, less_urgent);
        int number = 0;
        std::vector<job> left;
        auto const put_one = [&] {
            job const j{static_cast<int>(random() % 8), number++};
            left.push_back(j);
            REQUIRE(q.try_put(j));
        };
        auto const check_one = [&](std::optional<job> const& got, auto first) {
            REQUIRE(got.has_value());
            REQUIRE(got->number == first->number);
        };
        for (int i = 0; i < size; ++i) {
            put_one();
        }
        std::ranges::sort(left, leaves_first);
        auto next = left.begin();
        for (int i = 0; i < size / 2; ++i, ++next) {
            check_one(q.try_get(), next);
        }
        left.erase(left.begin(), next);
        for (int i = 0; i < size; ++i) {
            put_one();
        }
        std::ranges::sort(left, leaves_first);
        for (next = left.begin(); next != left.end(); ++next) {
            check_one(q.try_get(), next);
        }
        CHECK(q.empty());
    }
}

TEST_CASE("an order that is put in rising, falling or all equal needs no deep stack, and no long way") {
    std::uint64_t compared = 0;
    auto const counts = [&](int a, int b) {
        ++compared;
        return a < b;
    };
    constexpr int size = 200'000;
    for (int direction : {1, -1, 0}) {
        priority_queue<int, decltype(counts)> q(0, counts);
        compared = 0;
        for (int i = 0; i < size; ++i) {
            REQUIRE(q.try_put(direction * i));
        }
        for (int i = 0; i < size; ++i) {
            int const wanted = direction == 0 ? 0 : direction > 0 ? i : i + 1 - size;
            REQUIRE(q.try_get() == wanted);
        }
        CHECK(compared < 4ULL * size * 18);  // log2(size) is below 18; two comparisons for each step
    }
}

TEST_CASE("Q-06, Q-13: only items that are in are ordered") {
    auto const body = []() -> task<> {
        priority_queue<int> q(2);
        auto getter = spawn(q.get());
        co_await this_task::yield();
        co_await q.put(9);  // handed over
        co_await q.put(5);
        CHECK(co_await std::move(getter) == 9);
        co_await q.put(6);
        auto late = spawn(q.put(1));
        auto later = spawn(q.put(0));
        co_await this_task::yield();
        std::vector<int> got;
        for (int i = 0; i < 4; ++i) {
            got.push_back(co_await q.get());
        }
        CHECK(got == std::vector{5, 1, 0, 6});
    };
    run(body(), simulated());
}

TEST_CASE("Q-23: items that can only be moved, compared through what they point at") {
    auto const by_value = [](std::unique_ptr<int> const& a, std::unique_ptr<int> const& b) { return *a < *b; };
    priority_queue<std::unique_ptr<int>, decltype(by_value)> q(0, by_value);
    for (int i : {3, 1, 2}) {
        CHECK(q.try_put(std::make_unique<int>(i)));
    }
    int last = 0;
    for (auto const& each : drained(q)) {
        CHECK(*each == ++last);
    }
    CHECK(last == 3);
}

} // namespace
