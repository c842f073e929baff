#include <magpie/combinators/detail/task_buffer.hpp>

#include <magpie/runtime/runtime.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using detail::task_buffer;

task<int> gives(int i, token) {
    co_return i;
}

task<std::vector<int>> results(std::vector<task<int>> tasks) {
    std::vector<int> values;
    for (auto& each : tasks) {
        values.push_back(co_await std::move(each));
    }
    co_return values;
}

TEST_CASE("task_buffer: gives its tasks in order, however many they are, and keeps none of them") {
    for (std::size_t const count : {std::size_t{0}, std::size_t{1}, task_buffer<int>::room, task_buffer<int>::room + 1,
                                    3 * task_buffer<int>::room}) {
        CAPTURE(count);
        tally alive;
        {
            task_buffer<int> buffer;
            for (std::size_t i = 0; i < count; ++i) {
                buffer.push_back(gives(static_cast<int>(i), token(alive)));
            }
            CHECK(buffer.size() == count);
            std::vector<task<int>> taken;
            buffer.move_each([&](task<int>&& each) { taken.push_back(std::move(each)); });
            CHECK(buffer.size() == 0);
            std::vector<int> const values = run(results(std::move(taken)));
            REQUIRE(values.size() == count);
            for (std::size_t i = 0; i < count; ++i) {
                REQUIRE(values[i] == static_cast<int>(i));
            }
        }
        CHECK(alive.alive == 0);
    }
}

TEST_CASE("task_buffer: as a list; and what it still has it destroys") {
    tally alive;
    {
        task_buffer<int> buffer;
        for (std::size_t i = 0; i < task_buffer<int>::room + 2; ++i) {
            buffer.push_back(gives(static_cast<int>(i), token(alive)));
        }
        detail::task_list<int> const list = buffer.move_to_list();
        CHECK(list.size() == task_buffer<int>::room + 2);
        buffer.push_back(gives(1, token(alive)));
        CHECK(alive.alive == static_cast<int>(task_buffer<int>::room) + 3);
    }
    CHECK(alive.alive == 0);
}

}  // namespace
