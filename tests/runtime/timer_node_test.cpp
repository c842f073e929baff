#include <magpie/runtime/detail/timer_node.hpp>

#include <magpie/runtime/scheduler/timer_heap.hpp>

#include <doctest/doctest.h>

namespace {

using namespace magpie::detail;

TEST_CASE("timer_node: begins outside of any heap, and is outside again after erase or expiry") {
    timer_node a;
    timer_node b;
    CHECK(a.index == timer_heap::not_in_heap);
    timer_heap heap;
    CHECK_FALSE(heap.erase(a));
    heap.insert(a, 5);
    heap.insert(b, 4);
    CHECK(a.index != timer_heap::not_in_heap);
    CHECK(heap.pop_expired(4) == &b);
    CHECK(b.index == timer_heap::not_in_heap);
    CHECK(heap.erase(a));
    CHECK(a.index == timer_heap::not_in_heap);
    CHECK_FALSE(heap.erase(a));
}

}  // namespace
