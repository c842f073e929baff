#include <magpie/runtime/scheduler/steal_order.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

using magpie::detail::steal_order;
using nodes = std::vector<std::uint16_t>;
using visits = std::vector<unsigned>;

visits visit(steal_order const& order, unsigned first, unsigned count) {
    visits all;
    for (unsigned i = 0; i < count; ++i) {
        all.push_back(order.at(i, first, count));
    }
    return all;
}

TEST_CASE("steal_order: without nodes, round from the random one") {
    for (steal_order const& flat : {steal_order(), steal_order(nodes{}, 2)}) {
        CHECK(visit(flat, 0, 5) == visits{0, 1, 2, 3, 4});
        CHECK(visit(flat, 3, 5) == visits{3, 4, 0, 1, 2});
    }
}

TEST_CASE("steal_order: the near ones from a random one on, then the far ones from a random one on") {
    nodes const node_of{0, 1, 0, 1, 0, 1, 0, 1};
    steal_order const of_2(node_of, 2);
    CHECK(visit(of_2, 0, 8) == visits{0, 2, 4, 6, 1, 3, 5, 7});
    CHECK(visit(of_2, 1, 8) == visits{2, 4, 6, 0, 3, 5, 7, 1});
    CHECK(visit(of_2, 6, 8) == visits{4, 6, 0, 2, 5, 7, 1, 3});
    steal_order const of_7(node_of, 7);
    CHECK(visit(of_7, 3, 8) == visits{7, 1, 3, 5, 6, 0, 2, 4});
}

TEST_CASE("steal_order: nodes of different size, three of them") {
    nodes const node_of{0, 0, 0, 1, 2, 1};
    CHECK(visit(steal_order(node_of, 4), 0, 6) == visits{4, 0, 1, 2, 3, 5});
    CHECK(visit(steal_order(node_of, 4), 5, 6) == visits{4, 0, 1, 2, 3, 5});
    CHECK(visit(steal_order(node_of, 4), 4, 6) == visits{4, 5, 0, 1, 2, 3});
    CHECK(visit(steal_order(node_of, 0), 4, 6) == visits{1, 2, 0, 4, 5, 3});
}

TEST_CASE("steal_order: the spare worker is visited last, and visits all alike") {
    nodes const node_of{0, 1, 0, 1};
    CHECK(visit(steal_order(node_of, 1), 4, 5) == visits{1, 3, 0, 2, 4});
    CHECK(visit(steal_order(node_of, 4), 3, 5) == visits{3, 4, 0, 1, 2});
}

TEST_CASE("steal_order: everybody is visited once, near before far, whatever the random number") {
    for (unsigned const workers : {2U, 3U, 8U, 64U, 128U}) {
        nodes node_of;
        for (unsigned i = 0; i < workers; ++i) {
            node_of.push_back(static_cast<std::uint16_t>(i * 3 / workers));
        }
        visits everybody(workers);
        for (unsigned i = 0; i < workers; ++i) {
            everybody[i] = i;
        }
        for (unsigned self = 0; self < workers; self += 7) {
            steal_order const order(node_of, self);
            for (unsigned first = 0; first < workers; ++first) {
                visits seen = visit(order, first, workers);
                auto const far = [&](unsigned each) { return node_of[each] != node_of[self]; };
                CHECK(std::ranges::is_partitioned(seen, [&](unsigned each) { return !far(each); }));
                std::ranges::sort(seen);
                CHECK(seen == everybody);
            }
        }
    }
}

}  // namespace
