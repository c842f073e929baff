#include <magpie/combinators/lifo_queue.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("Q-01: last in, first out") {
    auto const body = []() -> task<> {
        lifo_queue<int> q;
        for (int i = 0; i < 5; ++i) {
            co_await q.put(i);
        }
        CHECK(q.size() == 5);
        CHECK(co_await q.get() == 4);
        CHECK(q.try_put(9));
        CHECK(q.try_get() == 9);
        for (int i = 3; i >= 0; --i) {
            CHECK(co_await q.next() == i);
        }
        CHECK(q.try_get() == std::nullopt);
    };
    run(body(), simulated());
}

TEST_CASE("Q-06: a putter that waited for room goes in as the newest item") {
    auto const body = []() -> task<> {
        lifo_queue<int> q(2);
        std::vector<int> got;
        co_await q.put(1);
        co_await q.put(2);
        auto third = spawn(q.put(3));
        auto fourth = spawn(q.put(4));
        co_await this_task::yield();
        CHECK(q.waiting_putters() == 2);
        for (int i = 0; i < 4; ++i) {
            got.push_back(co_await q.get());  // 3 takes the room that 2 leaves, and so on
        }
        CHECK(got == std::vector{2, 3, 4, 1});
    };
    run(body(), simulated());
}

} // namespace
