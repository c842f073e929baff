#include <magpie/runtime/scheduler/fork_stack.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <limits>
#include <new>
#include <random>
#include <vector>

namespace {

using namespace magpie::detail;

struct item {
    item* next = nullptr;
};

using stack = fork_stack<item>;

std::vector<item*> drain(intrusive_queue<item>& q) {
    std::vector<item*> all;
    while (item* const i = q.pop_front()) {
        all.push_back(i);
    }
    return all;
}

TEST_CASE("fork_stack: is empty at first") {
    stack s;
    intrusive_queue<item> out;
    CHECK(s.empty());
    CHECK(s.size() == 0);
    CHECK(s.pop() == nullptr);
    CHECK(s.peek() == nullptr);
    CHECK(s.take_oldest() == nullptr);
    CHECK(s.take_oldest(5, out) == 0);
    CHECK(out.empty());
}

TEST_CASE("fork_stack: pop takes the newest, take_oldest the oldest") {
    std::vector<item> items(6);
    stack s;
    for (item& i : items) {
        s.push(&i);
        CHECK(s.peek() == &i);
    }
    CHECK(s.pop() == &items[5]);
    CHECK(s.take_oldest() == &items[0]);
    intrusive_queue<item> out;
    CHECK(s.take_oldest(2, out) == 2);
    CHECK(drain(out) == std::vector{&items[1], &items[2]});
    CHECK(s.peek() == &items[4]);
    CHECK(s.size() == 2);
    CHECK(s.take_oldest(100, out) == 2);
    CHECK(drain(out) == std::vector{&items[3], &items[4]});
    CHECK(s.empty());
}

TEST_CASE("fork_stack: grows as needed and gives the memory back") {
    constexpr std::size_t count = 100'000;
    std::vector<item> items(count);
    stack s;
    std::size_t const small = s.capacity();
    for (item& i : items) {
        s.push(&i);
    }
    CHECK(s.capacity() >= count);
    CHECK(s.capacity() < 2 * count);
    for (std::size_t i = count; i-- > count / 2;) {
        REQUIRE(s.pop() == &items[i]);
    }
    for (std::size_t i = 0; i < count / 2; ++i) {
        REQUIRE(s.take_oldest() == &items[i]);
    }
    CHECK(s.pop() == nullptr);
    CHECK(s.capacity() == small);
}

TEST_CASE("fork_stack: take_oldest of many gives the memory back too") {
    std::vector<item> items(10'000);
    stack s;
    std::size_t const small = s.capacity();
    for (item& i : items) {
        s.push(&i);
    }
    intrusive_queue<item> out;
    CHECK(s.take_oldest(9'999, out) == 9'999);
    CHECK(s.capacity() == small);
    CHECK(s.pop() == &items[9'999]);
}

TEST_CASE("fork_stack: does not resize at every step when its size stays near one value") {
    std::vector<item> items(5'000);
    stack s;
    for (std::size_t i = 0; i < 4'097; ++i) {
        s.push(&items[i]);
    }
    std::size_t const capacity = s.capacity();
    int resizes = 0;
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 500; ++i) {
            s.push(&items[4'200]);
        }
        for (int i = 0; i < 500; ++i) {
            s.pop();
        }
        resizes += s.capacity() == capacity ? 0 : 1;
    }
    CHECK(resizes == 0);
    while (s.size() > capacity / 8) {
        s.pop();
    }
    s.pop();
    std::size_t const halved = s.capacity();
    CHECK(halved < capacity);
    for (std::size_t i = 0; i < halved / 4; ++i) {
        s.push(&items[i]);
    }
    CHECK(s.capacity() == halved);
}

TEST_CASE("fork_stack: reserve makes room for a whole pack, or none") {
    std::vector<item> items(1'000);
    stack s;
    s.push(&items[0]);
    s.reserve(999);
    std::size_t const reserved = s.capacity();
    CHECK(reserved >= 1'000);
    for (std::size_t i = 1; i < 1'000; ++i) {
        s.push(&items[i]);
        REQUIRE(s.capacity() == reserved);
    }
    CHECK_THROWS_AS(s.reserve(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
    CHECK(s.size() == 1'000);
    CHECK(s.peek() == &items[999]);
}

TEST_CASE("fork_stack: behaves like a deque under random operations") {
    std::mt19937 random(2024);
    std::vector<item> items(4'096);
    stack s;
    std::deque<item*> expected;
    std::size_t next = 0;
    for (int step = 0; step < 200'000; ++step) {
        // Phases of growth and of decline, so that it resizes both ways many times.
        bool const growing = (step / 5'000) % 2 == 0;
        auto const dice = random() % 16;
        if (growing ? dice < 10 : dice < 5) {
            item* const i = &items[next++ % items.size()];
            s.push(i);
            expected.push_back(i);
        } else if (dice % 3 == 0) {
            item* const i = s.take_oldest();
            REQUIRE(i == (expected.empty() ? nullptr : expected.front()));
            if (i != nullptr) {
                expected.pop_front();
            }
        } else {
            item* const i = s.pop();
            REQUIRE(i == (expected.empty() ? nullptr : expected.back()));
            if (i != nullptr) {
                expected.pop_back();
            }
        }
        REQUIRE(s.size() == expected.size());
    }
}

}  // namespace
