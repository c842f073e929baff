#include <magpie/runtime/scheduler/fork_stack.hpp>

#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <limits>
#include <new>
#include <random>
#include <thread>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

struct item {
    item* next = nullptr;
    unsigned got = 0;  // plain: a data race, if two threads ever got the same item
};

using stack = fork_stack<item>;

item* take_one(stack& s) {
    intrusive_queue<item> out;
    s.take_oldest(1, out);
    return out.pop_front();
}

item* newest(stack& s) {
    item* seen = nullptr;
    (void)s.pop_if([&seen](item const& i) {
        seen = const_cast<item*>(&i);
        return false;
    });
    return seen;
}

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
    CHECK(newest(s) == nullptr);
    CHECK(take_one(s) == nullptr);
    CHECK(s.take_oldest(5, out) == 0);
    CHECK(out.empty());
}

TEST_CASE("fork_stack: pop takes the newest, take_oldest the oldest") {
    std::vector<item> items(6);
    stack s;
    for (item& i : items) {
        s.push(&i);
        CHECK(newest(s) == &i);
    }
    CHECK(s.pop() == &items[5]);
    CHECK(take_one(s) == &items[0]);
    intrusive_queue<item> out;
    CHECK(s.take_oldest(2, out) == 2);
    CHECK(drain(out) == std::vector{&items[1], &items[2]});
    CHECK(newest(s) == &items[4]);
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
        REQUIRE(take_one(s) == &items[i]);
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
    CHECK(newest(s) == &items[999]);
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
            item* const i = take_one(s);
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

TEST_CASE("fork_stack: pop_if leaves an item that does not fit, for the next to pop") {
    std::vector<item> items(2);
    stack s;
    s.push(&items[0]);
    s.push(&items[1]);
    CHECK(s.pop_if([&](item const& i) { return &i == &items[0]; }) == nullptr);
    CHECK(s.size() == 2);
    CHECK(s.pop_if([&](item const& i) { return &i == &items[1]; }) == &items[1]);
    CHECK(s.pop_if([&](item const& i) { return &i == &items[1]; }) == nullptr);
    CHECK(s.pop() == &items[0]);
    CHECK(s.pop_if([](item const&) { return true; }) == nullptr);
}

TEST_CASE("fork_stack: take_claimed takes the oldest, and leaves the memory as it is") {
    if (!can_kick()) {
        return;
    }
    std::vector<item> items(1'000);
    stack s;
    for (item& i : items) {
        s.push(&i);
    }
    std::size_t const capacity = s.capacity();
    intrusive_queue<item> out;
    CHECK(s.take_claimed(2, out) == 2);
    CHECK(drain(out) == std::vector{&items[0], &items[1]});
    CHECK(s.take_claimed(5'000, out) == 998);
    CHECK(s.take_claimed(1, out) == 0);
    CHECK(s.empty());
    CHECK(s.capacity() == capacity);
    CHECK(s.pop() == nullptr);
}

TEST_CASE("fork_stack: between an owner and a claimer each item goes to one of them") {
    std::vector<item> items(rounds(400'000));
    stack s;
    bool const claims = can_kick();  // asked here: the first answer takes long
    std::atomic<bool> stop{false};
    std::atomic<bool> begun{!claims};
    std::atomic<std::size_t> claimed{0};
    std::thread claimer([&] {
        while (!stop) {
            begun = true;
            yield_thread();  // or the owner hardly ever finds it unclaimed
            intrusive_queue<item> out;
            s.take_claimed(5, out);
            while (item* const i = out.pop_front()) {
                ++i->got;
                claimed.fetch_add(1);
            }
        }
    });
    std::size_t popped = 0;
    auto const pop_one = [&] {
        if (item* const i = s.pop()) {
            ++i->got;
            ++popped;
        }
    };
    // Hardly ever more than two items are there, so that both reach for the same; now and then many, so that it resizes.
    until([&] { return begun.load(); });
    for (std::size_t n = 0; n < items.size(); ++n) {
        s.push(&items[n]);
        if (n % 1'024 < 900) {
            pop_one();
            pop_one();
        } else if (claims && n % 1'024 == 1'000) {
            until([&, before = claimed.load()] { return claimed != before || s.empty(); });
        }
    }
    while (!s.empty()) {
        pop_one();
    }
    stop = true;
    claimer.join();
    CHECK(popped + claimed == items.size());
    CHECK(std::ranges::all_of(items, [](item const& i) { return i.got == 1; }));
}

}  // namespace
