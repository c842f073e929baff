#include <magpie/runtime/scheduler/outside_wait.hpp>

#include <magpie/runtime/runtime.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <thread>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("outside_wait: any number of interrupts count as one, and end a block()") {
    detail::outside_wait wait;
    CHECK_FALSE((wait.done() || wait.happened().load() || wait.take_interrupt()));
    std::thread other([&] {
        wait.interrupt();
        wait.interrupt();
    });
    until([&] {
        wait.block();
        return wait.happened().load();
    });
    other.join();
    CHECK(wait.take_interrupt());
    CHECK_FALSE(wait.take_interrupt());
    CHECK_FALSE(wait.done());
    wait.clear();
    CHECK_FALSE(wait.happened().load());
}

TEST_CASE("outside_wait: is told of a task's end, or not linked if it has ended") {
    runtime rt(threads(1));
    auto const nothing = []() -> task<> { co_return; };
    for (unsigned r = 0; r < rounds(2000); ++r) {
        detail::outside_wait wait;
        auto h = rt.spawn(nothing());
        if (h.record().watch(wait)) {
            while (!wait.done()) {
                wait.block();
            }
            CHECK_FALSE(h.record().unwatch(wait));
        }
        REQUIRE(h.done());
        CHECK_FALSE(h.record().watch(wait));
    }
}

}  // namespace
