#include <magpie/runtime/scheduler/inject_queue.hpp>

#include <runtime/support/allocations.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie::detail;

struct item {
    item* next = nullptr;
    int value = 0;
};

using queue = inject_queue<item>;

std::vector<item> numbered(int count) {
    std::vector<item> items(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        items[static_cast<std::size_t>(i)].value = i;
    }
    return items;
}

std::vector<int> drain(intrusive_queue<item>& q) {
    std::vector<int> values;
    while (item* const i = q.pop_front()) {
        values.push_back(i->value);
    }
    return values;
}

TEST_CASE("inject_queue: smoke: is FIFO over single items and batches") {
    auto items = numbered(5);
    queue q;
    CHECK(q.empty());
    CHECK(q.pop() == nullptr);
    CHECK(q.push(&items[0]));
    intrusive_queue<item> batch;
    for (std::size_t i = 1; i < 4; ++i) {
        batch.push_back(&items[i]);
    }
    CHECK(q.push_batch(std::move(batch)));
    CHECK(batch.empty());
    CHECK(q.push(&items[4]));
    CHECK(q.size() == 5);
    for (item& i : items) {
        CHECK(q.pop() == &i);
    }
    CHECK(q.empty());
    CHECK(q.pop() == nullptr);
}

TEST_CASE("inject_queue: pop_batch takes the oldest, as many as asked for and there are") {
    auto items = numbered(5);
    queue q;
    intrusive_queue<item> out;
    CHECK(q.pop_batch(out, 3) == 0);
    for (item& i : items) {
        REQUIRE(q.push(&i));
    }
    CHECK(q.pop_batch(out, 0) == 0);
    CHECK(q.pop_batch(out, 2) == 2);
    CHECK(q.size() == 3);
    CHECK(q.pop_batch(out, 100) == 3);
    CHECK(q.empty());
    CHECK(drain(out) == std::vector{0, 1, 2, 3, 4});
    CHECK(q.push(&items[0]));
    CHECK(q.pop() == &items[0]);
}

TEST_CASE("inject_queue: without memory it takes items in all the same, in order") {
    auto items = numbered(1000);
    queue q;
    {
        intrusive_queue<item> batch;
        for (std::size_t i = 0; i < 500; ++i) {
            batch.push_back(&items[i]);
        }
        magpie::tests::failing_allocations const scarce(0);
        CHECK(q.push_batch(std::move(batch)));
    }
    for (std::size_t i = 500; i < items.size(); ++i) {
        CHECK(q.push(&items[i]));
    }
    CHECK(q.size() == items.size());
    for (item& i : items) {
        REQUIRE(q.pop() == &i);
    }
}

TEST_CASE("inject_queue: an empty batch changes nothing") {
    queue q;
    intrusive_queue<item> batch;
    CHECK(q.push_batch(std::move(batch)));
    CHECK(q.empty());
    q.close();
    CHECK_FALSE(q.push_batch(std::move(batch)));
}

TEST_CASE("inject_queue: a closed queue refuses, leaves the items to the caller, and gives out what it has") {
    auto items = numbered(4);
    queue q;
    CHECK(q.push(&items[0]));
    CHECK_FALSE(q.closed());
    CHECK(q.close());
    CHECK(q.closed());
    CHECK_FALSE(q.close());
    CHECK_FALSE(q.push(&items[1]));
    intrusive_queue<item> batch;
    batch.push_back(&items[2]);
    batch.push_back(&items[3]);
    CHECK_FALSE(q.push_batch(std::move(batch)));
    CHECK(drain(batch) == std::vector{2, 3});
    CHECK(q.pop() == &items[0]);
    CHECK(q.pop() == nullptr);
}

TEST_CASE("inject_queue: spsc: complete and in order") {
    constexpr int count = 50'000;
    auto items = numbered(count);
    queue q;
    std::jthread const producer([&] {
        for (item& i : items) {
            while (!q.push(&i)) {}
        }
    });
    int next = 0;
    while (next < count) {
        if (item* const i = q.pop()) {
            REQUIRE(i->value == next);
            ++next;
        } else {
            yield_thread();
        }
    }
    CHECK(q.empty());
}

TEST_CASE("inject_queue: stampede: what is taken in before the close comes out once, what is refused never") {
    constexpr int producers = 3;
    constexpr int consumers = 3;
    constexpr int per_producer = 20'000;
    auto items = numbered(producers * per_producer);
    std::vector<char> accepted(items.size());
    std::vector<std::vector<int>> taken(consumers);
    queue q;
    {
        std::vector<std::jthread> crowd;
        for (int p = 0; p < producers; ++p) {
            crowd.emplace_back([&, p] {
                for (int i = 0; i + 4 <= per_producer; i += 4) {
                    auto const at = static_cast<std::size_t>(p * per_producer + i);
                    accepted[at] = q.push(&items[at]);
                    intrusive_queue<item> batch;
                    for (std::size_t k = 1; k < 4; ++k) {
                        batch.push_back(&items[at + k]);
                    }
                    bool const ok = q.push_batch(std::move(batch));
                    for (std::size_t k = 1; k < 4; ++k) {
                        accepted[at + k] = ok;
                    }
                    if (p == 0 && i == per_producer / 2) {
                        q.close();
                    }
                }
            });
        }
        for (auto& mine : taken) {
            crowd.emplace_back([&q, &mine] {
                for (bool last = false; !last;) {
                    last = q.closed();
                    intrusive_queue<item> out;
                    q.pop_batch(out, 7);
                    while (item* const i = out.pop_front()) {
                        mine.push_back(i->value);
                        last = false;
                    }
                    if (item* const i = q.pop()) {
                        mine.push_back(i->value);
                        last = false;
                    }
                }
            });
        }
    }
    CHECK(q.empty());
    std::vector<char> came_out(items.size());
    int twice = 0;
    for (auto const& mine : taken) {
        for (int const value : mine) {
            twice += std::exchange(came_out[static_cast<std::size_t>(value)], char{1});
        }
    }
    CHECK(twice == 0);
    CHECK(came_out == accepted);
    CHECK(std::count(accepted.begin(), accepted.end(), 0) > 0);
}

}  // namespace
