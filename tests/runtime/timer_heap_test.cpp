#include <magpie/runtime/scheduler/timer_heap.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace {

struct node {
    std::int64_t deadline = 0;
    std::uint32_t index = 0xffffffff;
};

using heap = magpie::detail::basic_timer_heap<node>;
constexpr std::int64_t forever = heap::no_deadline;

std::vector<node*> fire_all(heap& h, std::int64_t now) {
    std::vector<node*> fired;
    while (node* const n = h.pop_expired(now)) {
        fired.push_back(n);
    }
    return fired;
}

TEST_CASE("timer_heap: is empty at first") {
    heap h;
    node stranger;
    CHECK(h.empty());
    CHECK(h.next_deadline() == forever);
    CHECK(h.pop_expired(forever) == nullptr);
    CHECK_FALSE(h.erase(stranger));
}

TEST_CASE("timer_heap: fires the soonest first, and nothing before its time") {
    std::vector<node> nodes(3);
    heap h;
    h.insert(nodes[0], 300);
    h.insert(nodes[1], 100);
    h.insert(nodes[2], 200);
    CHECK(h.next_deadline() == 100);
    CHECK(h.pop_expired(99) == nullptr);
    CHECK(h.pop_expired(100) == &nodes[1]);
    CHECK(h.pop_expired(100) == nullptr);
    CHECK(h.next_deadline() == 200);
    CHECK(fire_all(h, 1000) == std::vector{&nodes[2], &nodes[0]});
    CHECK(h.next_deadline() == forever);
}

TEST_CASE("timer_heap: takes negative deadlines and the last moment") {
    std::vector<node> nodes(3);
    heap h;
    h.insert(nodes[0], forever);
    h.insert(nodes[1], -5);
    h.insert(nodes[2], std::numeric_limits<std::int64_t>::min());
    CHECK(fire_all(h, forever) == std::vector{&nodes[2], &nodes[1], &nodes[0]});
}

TEST_CASE("timer_heap: equal deadlines fire in the order of insertion") {
    std::vector<node> nodes(100);
    heap h;
    std::vector<node*> expected;
    for (node& n : nodes) {
        h.insert(n, 42);
        expected.push_back(&n);
    }
    // Removal from the middle moves others about; their order must not suffer.
    for (std::size_t const i : {50U, 3U, 99U, 0U}) {
        CHECK(h.erase(nodes[i]));
        std::erase(expected, &nodes[i]);
    }
    CHECK(fire_all(h, 42) == expected);
}

TEST_CASE("timer_heap: erase takes a timer once, wherever it is, and it can be inserted again") {
    for (std::size_t victim = 0; victim < 20; ++victim) {
        std::vector<node> nodes(20);
        heap h;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            h.insert(nodes[i], static_cast<std::int64_t>((i * 7) % 20));
        }
        CHECK(h.erase(nodes[victim]));
        CHECK_FALSE(h.erase(nodes[victim]));
        CHECK(h.size() == 19);
        h.insert(nodes[victim], 1000);
        std::vector<node*> const fired = fire_all(h, 1000);
        REQUIRE(fired.size() == 20);
        CHECK(fired.back() == &nodes[victim]);
        for (std::size_t i = 1; i < fired.size(); ++i) {
            CHECK(fired[i - 1]->deadline <= fired[i]->deadline);
        }
    }
}

TEST_CASE("timer_heap: a timer that fired is in no heap") {
    node n;
    heap h;
    h.insert(n, 1);
    CHECK(h.pop_expired(1) == &n);
    CHECK_FALSE(h.erase(n));
    h.insert(n, 2);
    CHECK(h.erase(n));
}

TEST_CASE("timer_heap: behaves like an ordered map under random operations") {
    std::mt19937_64 random(31337);
    std::vector<node> nodes(2'000);
    heap h;
    std::map<std::pair<std::int64_t, std::uint64_t>, node*> expected;  // by deadline and order of insertion
    std::vector<std::uint64_t> order(nodes.size());
    std::uint64_t inserted = 0;
    std::int64_t now = 0;
    for (int step = 0; step < 200'000; ++step) {
        std::size_t const i = random() % nodes.size();
        node& n = nodes[i];
        if (random() % 8 == 0) {
            now += static_cast<std::int64_t>(random() % 20);
            node* const fired = h.pop_expired(now);
            if (expected.empty() || expected.begin()->first.first > now) {
                REQUIRE(fired == nullptr);
            } else {
                REQUIRE(fired == expected.begin()->second);
                expected.erase(expected.begin());
            }
        } else if (n.index == heap::not_in_heap) {
            std::int64_t const deadline = now + static_cast<std::int64_t>(random() % 50);  // many are equal
            order[i] = inserted++;
            h.insert(n, deadline);
            expected.emplace(std::pair(deadline, order[i]), &n);
        } else {
            REQUIRE(expected.erase({n.deadline, order[i]}) == 1);
            REQUIRE(h.erase(n));
        }
        REQUIRE(h.size() == expected.size());
        REQUIRE(h.next_deadline() == (expected.empty() ? forever : expected.begin()->first.first));
    }
}

TEST_CASE("timer_heap: gives memory back when most timers are gone") {
    constexpr std::size_t count = 100'000;
    std::vector<node> nodes(count);
    heap h;
    for (std::size_t i = 0; i < count; ++i) {
        h.insert(nodes[i], static_cast<std::int64_t>((i * 7919) % count));
    }
    std::size_t const most = h.capacity();
    for (std::size_t i = 0; i < count - 100; ++i) {
        REQUIRE(h.erase(nodes[i]));
    }
    CHECK(h.capacity() < most / 100);
    CHECK(fire_all(h, forever).size() == 100);
    CHECK(h.capacity() <= 64);
}

// Small enough for a debug build under a sanitizer; every timer is cancelled, as most timeouts are.
TEST_CASE("timer_heap: many timers, most of them cancelled") {
    constexpr std::size_t count = 100'000;
    std::mt19937_64 random(5);
    std::vector<node> nodes(count);
    heap h;
    for (node& n : nodes) {
        h.insert(n, static_cast<std::int64_t>(random() % 1'000'000));
    }
    for (std::size_t i = 0; i < count; i += 2) {
        REQUIRE(h.erase(nodes[i]));
    }
    std::int64_t last = 0;
    std::size_t fired = 0;
    while (node const* const n = h.pop_expired(1'000'000)) {
        REQUIRE(n->deadline >= last);
        last = n->deadline;
        ++fired;
    }
    CHECK(fired == count / 2);
}

}  // namespace
