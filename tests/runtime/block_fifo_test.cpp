#include <magpie/runtime/scheduler/block_fifo.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

namespace {

using namespace magpie::detail;

struct item {
    item* next = nullptr;
};

using fifo = block_fifo<item>;
constexpr std::size_t capacity = fifo::block_capacity;

TEST_CASE("block_fifo: first in, first out, over the ends of blocks") {
    std::vector<item> items(3 * capacity + 1);
    fifo q;
    CHECK(q.empty());
    fifo::stock blocks;
    CHECK(q.pop_front(blocks) == nullptr);
    CHECK(q.lacking(items.size()) == 4);
    blocks.fill(q.lacking(items.size()));
    CHECK(blocks.count() == 4);
    for (item& each : items) {
        q.push_back(&each, blocks);
    }
    CHECK(q.size() == items.size());
    CHECK(blocks.count() == 0);
    for (item& each : items) {
        REQUIRE(q.pop_front(blocks) == &each);
    }
    CHECK(q.empty());
    CHECK(q.pop_front(blocks) == nullptr);
    CHECK(blocks.count() == 2);  // one it works in, and one for the next block's worth
}

TEST_CASE("block_fifo: what is pushed and popped in turn needs one block") {
    item one;
    fifo q;
    fifo::stock blocks;
    blocks.fill(q.lacking(1));
    CHECK(blocks.count() == 1);
    for (std::size_t i = 0; i < 3 * capacity; ++i) {
        REQUIRE(q.lacking(1) == (i == 0 ? 1 : 0));
        q.push_back(&one, blocks);
        REQUIRE(q.pop_front(blocks) == &one);
    }
    CHECK(blocks.count() == 0);
}

TEST_CASE("block_fifo: without memory the items are linked, in order, until all of those have left") {
    std::vector<item> items(capacity + 4);
    fifo q;
    fifo::stock blocks;
    blocks.fill(1);
    fifo::stock none;
    for (std::size_t i = 0; i < capacity; ++i) {
        q.push_back(&items[i], blocks);
    }
    q.push_back(&items[capacity], none);
    q.push_back(&items[capacity + 1], none);
    CHECK(q.lacking(1) == 0);  // it would not be used
    blocks.fill(1);
    q.push_back(&items[capacity + 2], blocks);
    CHECK(blocks.count() == 1);
    for (std::size_t i = 0; i < capacity + 3; ++i) {
        REQUIRE(q.pop_front(blocks) == &items[i]);
    }
    CHECK(q.empty());
    q.push_back(&items[capacity + 3], none);
    CHECK(q.pop_front(none) == &items[capacity + 3]);
    CHECK(items[capacity + 3].next == nullptr);
}

TEST_CASE("block_fifo: pushes and pops in any order") {
    std::vector<item> items(20 * capacity);
    std::mt19937 random(7);
    fifo q;
    std::size_t pushed = 0;
    std::size_t popped = 0;
    while (popped < items.size()) {
        fifo::stock blocks;
        std::size_t const more = std::min<std::size_t>(random() % (3 * capacity), items.size() - pushed);
        if (random() % 4 != 0) {  // else there is no memory
            blocks.fill(q.lacking(more));
        }
        for (std::size_t i = 0; i < more; ++i) {
            q.push_back(&items[pushed++], blocks);
        }
        for (std::size_t i = random() % (3 * capacity); i != 0 && popped < pushed; --i) {
            REQUIRE(q.pop_front(blocks) == &items[popped++]);
        }
        REQUIRE(q.size() == pushed - popped);
    }
}

}  // namespace
