#include <magpie/runtime/detail/intrusive_queue.hpp>

#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using magpie::detail::intrusive_queue;

struct item {
    item* next = nullptr;
    int value = 0;
};

using queue = intrusive_queue<item>;

std::array<item, 6> numbered() {
    std::array<item, 6> items;
    for (int i = 0; i < 6; ++i) {
        items[static_cast<std::size_t>(i)].value = i;
    }
    return items;
}

std::vector<int> drain(queue& q) {
    std::vector<int> values;
    while (item* const i = q.pop_front()) {
        values.push_back(i->value);
    }
    return values;
}

static_assert(!std::is_copy_constructible_v<queue>, "two queues cannot share items");

TEST_CASE("intrusive_queue: is empty at first") {
    queue q;
    CHECK(q.empty());
    CHECK(q.size() == 0);
    CHECK(q.front() == nullptr);
    CHECK(q.pop_front() == nullptr);
}

TEST_CASE("intrusive_queue: is FIFO, and push_front goes before all") {
    auto items = numbered();
    queue q;
    q.push_back(&items[1]);
    q.push_front(&items[0]);
    q.push_back(&items[2]);
    CHECK(q.size() == 3);
    CHECK(q.front() == &items[0]);
    CHECK(drain(q) == std::vector{0, 1, 2});
}

TEST_CASE("intrusive_queue: push_front into an empty queue is also its back") {
    auto items = numbered();
    queue q;
    q.push_front(&items[0]);
    q.push_back(&items[1]);
    CHECK(drain(q) == std::vector{0, 1});
}

TEST_CASE("intrusive_queue: an item that was popped is linked to nothing and can be queued again") {
    auto items = numbered();
    queue q;
    q.push_back(&items[0]);
    q.push_back(&items[1]);
    item* const first = q.pop_front();
    CHECK(first->next == nullptr);
    q.push_back(first);
    CHECK(drain(q) == std::vector{1, 0});
}

TEST_CASE("intrusive_queue: append moves all, in order, from and to empty queues too") {
    auto items = numbered();
    queue a;
    queue b;
    a.append(std::move(b));
    CHECK(a.empty());
    b.push_back(&items[0]);
    b.push_back(&items[1]);
    a.append(std::move(b));
    CHECK(b.empty());
    CHECK(b.size() == 0);
    a.append(std::move(b));
    CHECK(a.size() == 2);
    b.push_back(&items[2]);
    a.append(std::move(b));
    a.push_back(&items[3]);
    CHECK(a.size() == 4);
    CHECK(drain(a) == std::vector{0, 1, 2, 3});
}

TEST_CASE("intrusive_queue: a moved-from queue is empty and usable") {
    auto items = numbered();
    queue a;
    a.push_back(&items[0]);
    queue b(std::move(a));
    CHECK(a.empty());
    a.push_back(&items[1]);
    CHECK(drain(b) == std::vector{0});
    b = std::move(a);
    CHECK(drain(b) == std::vector{1});
    CHECK(drain(a).empty());
}

TEST_CASE("intrusive_queue: behaves like a deque under random operations") {
    std::mt19937 random(99);
    std::vector<item> items(128);
    std::vector<item*> outside;
    for (item& i : items) {
        outside.push_back(&i);
    }
    queue q;
    std::deque<item*> expected;
    for (int step = 0; step < 50'000; ++step) {
        auto const what = random() % 4;
        if (what < 2 && !outside.empty()) {
            item* const i = outside.back();
            outside.pop_back();
            if (what == 0) {
                q.push_back(i);
                expected.push_back(i);
            } else {
                q.push_front(i);
                expected.push_front(i);
            }
        } else if (what >= 2) {
            item* const i = q.pop_front();
            REQUIRE(i == (expected.empty() ? nullptr : expected.front()));
            if (i != nullptr) {
                expected.pop_front();
                outside.push_back(i);
            }
        }
        REQUIRE(q.size() == expected.size());
        REQUIRE(q.empty() == expected.empty());
    }
}

}  // namespace
