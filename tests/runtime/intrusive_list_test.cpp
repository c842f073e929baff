#include <magpie/runtime/detail/intrusive_list.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>
#include <vector>

namespace {

using namespace magpie::detail;

struct node {
    int value = 0;
    list_hook hook;
    list_hook other_hook;
};

using list = intrusive_list<node, &node::hook>;
using other_list = intrusive_list<node, &node::other_hook>;

std::vector<int> contents(list const& l) {
    std::vector<int> forwards;
    for (node* n = l.front(); n != nullptr; n = l.next(n)) {
        forwards.push_back(n->value);
    }
    return forwards;
}

std::array<node, 6> numbered() {
    std::array<node, 6> nodes;
    for (int i = 0; i < 6; ++i) {
        nodes[static_cast<std::size_t>(i)].value = i;
    }
    return nodes;
}

TEST_CASE("intrusive_list: is empty at first") {
    list l;
    CHECK(l.empty());
    CHECK(l.front() == nullptr);
    CHECK(l.back() == nullptr);
    CHECK(l.pop_front() == nullptr);
}

TEST_CASE("intrusive_list: push_back and pop_front are FIFO, push_front goes first") {
    auto nodes = numbered();
    list l;
    l.push_back(&nodes[1]);
    l.push_back(&nodes[2]);
    l.push_front(&nodes[0]);
    CHECK(contents(l) == std::vector{0, 1, 2});
    CHECK(l.back() == &nodes[2]);
    CHECK(l.pop_front() == &nodes[0]);
    CHECK(l.pop_front() == &nodes[1]);
    CHECK(l.pop_front() == &nodes[2]);
    CHECK(l.empty());
}

TEST_CASE("intrusive_list: linked() tells a member from a stranger, alone in the list or not") {
    auto nodes = numbered();
    list l;
    CHECK_FALSE(list::linked(&nodes[0]));
    l.push_back(&nodes[0]);
    CHECK(list::linked(&nodes[0]));
    l.push_back(&nodes[1]);
    l.erase(&nodes[0]);
    CHECK_FALSE(list::linked(&nodes[0]));
    CHECK(list::linked(&nodes[1]));
    l.pop_front();
    CHECK_FALSE(list::linked(&nodes[1]));
}

TEST_CASE("intrusive_list: erase takes first, middle, last and only") {
    for (std::size_t victim = 0; victim < 3; ++victim) {
        auto nodes = numbered();
        list l;
        for (std::size_t i = 0; i < 3; ++i) {
            l.push_back(&nodes[i]);
        }
        l.erase(&nodes[victim]);
        std::vector<int> expected{0, 1, 2};
        expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(victim));
        CHECK(contents(l) == expected);
        CHECK(l.front()->value == expected.front());
        CHECK(l.back()->value == expected.back());
        l.pop_front();
        l.erase(l.front());
        CHECK(l.empty());
        CHECK(l.back() == nullptr);
    }
}

TEST_CASE("intrusive_list: insert_before puts a node anywhere") {
    auto nodes = numbered();
    list l;
    l.insert_before(nullptr, &nodes[1]);
    l.insert_before(nullptr, &nodes[3]);
    l.insert_before(&nodes[1], &nodes[0]);
    l.insert_before(&nodes[3], &nodes[2]);
    CHECK(contents(l) == std::vector{0, 1, 2, 3});
    CHECK(l.back() == &nodes[3]);
}

TEST_CASE("intrusive_list: append and the move constructor take all nodes along, still erasable") {
    auto nodes = numbered();
    list a;
    list b;
    a.append(b);
    CHECK(a.empty());
    for (std::size_t i = 0; i < 3; ++i) {
        a.push_back(&nodes[i]);
        b.push_back(&nodes[i + 3]);
    }
    a.append(b);
    CHECK(b.empty());
    CHECK(contents(a) == std::vector{0, 1, 2, 3, 4, 5});
    list moved(std::move(a));
    CHECK(a.empty());
    moved.erase(&nodes[0]);
    moved.erase(&nodes[3]);
    moved.erase(&nodes[5]);
    CHECK(contents(moved) == std::vector{1, 2, 4});
    b.append(moved);
    b.erase(&nodes[4]);
    CHECK(b.back() == &nodes[2]);
    CHECK(contents(b) == std::vector{1, 2});
}

TEST_CASE("intrusive_list: a node is in two lists through two hooks") {
    auto nodes = numbered();
    list l;
    other_list o;
    l.push_back(&nodes[0]);
    o.push_back(&nodes[0]);
    l.erase(&nodes[0]);
    CHECK(l.empty());
    CHECK(o.front() == &nodes[0]);
}

TEST_CASE("intrusive_list: behaves like a vector under random operations") {
    std::mt19937 random(12345);
    std::vector<node> nodes(64);
    for (int i = 0; i < 64; ++i) {
        nodes[static_cast<std::size_t>(i)].value = i;
    }
    list l;
    std::vector<int> expected;
    for (int step = 0; step < 20'000; ++step) {
        node& n = nodes[random() % nodes.size()];
        if (list::linked(&n)) {
            l.erase(&n);
            expected.erase(std::find(expected.begin(), expected.end(), n.value));
        } else if (random() % 2 == 0) {
            l.push_back(&n);
            expected.push_back(n.value);
        } else {
            l.push_front(&n);
            expected.insert(expected.begin(), n.value);
        }
        REQUIRE(contents(l) == expected);
    }
}

}  // namespace
