#include <magpie/runtime/scheduler/post_queue.hpp>

#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

TEST_CASE("post_queue: in order; the first to add starts the drainer, and so does who adds after it has ended") {
    std::vector<int> order;
    post_queue queue;
    CHECK(queue.add(std::make_unique<posted>([&] { order.push_back(1); }, "t")));
    CHECK_FALSE(queue.add(std::make_unique<posted>([&] { order.push_back(2); }, "t")));
    queue.take()->fn();
    CHECK_FALSE(queue.add(std::make_unique<posted>([&] { order.push_back(3); }, "t")));
    queue.take()->fn();
    queue.take()->fn();
    CHECK(queue.take() == nullptr);
    CHECK(queue.add(std::make_unique<posted>([&] { order.push_back(4); }, "t")));
    queue.no_drainer();
    CHECK(queue.add(std::make_unique<posted>([&] { order.push_back(5); }, "t")));
    queue.take()->fn();
    queue.take()->fn();
    CHECK(order == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("post_queue: destroys what was never run") {
    tally count;
    {
        post_queue queue;
        for (int i = 0; i < 3; ++i) {
            (void)queue.add(std::make_unique<posted>([t = token(count)] { (void)t; }, "t"));
        }
        CHECK(count.alive == 3);
    }
    CHECK(count.alive == 0);
}

}  // namespace
