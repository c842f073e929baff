#include <magpie/runtime/scheduler/ready_fifo.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace {

using namespace magpie::detail;

std::vector<std::ptrdiff_t> one_round(ready_fifo& queue, work_item const* first) {
    std::vector<std::ptrdiff_t> order;
    queue.begin_round();
    while (!queue.round_over()) {
        order.push_back(queue.pop() - first);
    }
    return order;
}

TEST_CASE("ready_fifo: first in, first out; what is pushed during a round waits for the next") {
    std::array<work_item, 4> items;
    ready_fifo queue(0);
    CHECK((queue.empty() && queue.round_over()));
    queue.push(&items[0]);
    queue.push(&items[1]);
    CHECK_FALSE(queue.empty());
    queue.begin_round();
    CHECK(queue.pop() == &items[0]);
    queue.push(&items[2]);
    queue.push(&items[0]);
    CHECK(queue.pop() == &items[1]);
    CHECK(queue.round_over());
    CHECK_FALSE(queue.empty());
    CHECK(one_round(queue, items.data()) == std::vector<std::ptrdiff_t>{2, 0});
    CHECK(queue.empty());
}

TEST_CASE("ready_fifo: a seed permutes each round, the same seed the same way, none lost") {
    std::array<work_item, 50> items;
    auto const rounds_of = [&](std::uint64_t seed) {
        ready_fifo queue(seed);
        std::vector<std::vector<std::ptrdiff_t>> all;
        for (int r = 0; r < 3; ++r) {
            for (auto& each : items) {
                queue.push(&each);
            }
            all.push_back(one_round(queue, items.data()));
        }
        return all;
    };
    auto const a = rounds_of(1);
    CHECK(a == rounds_of(1));
    CHECK(a != rounds_of(2));
    CHECK(a[0] != a[1]);
    for (auto order : a) {
        CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
        std::sort(order.begin(), order.end());
        CHECK(std::adjacent_find(order.begin(), order.end()) == order.end());
        CHECK(order.size() == items.size());
    }
}

}  // namespace
