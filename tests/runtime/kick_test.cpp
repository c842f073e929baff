#include <magpie/runtime/detail/kick.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

namespace {

using namespace magpie::detail;

TEST_CASE("kick: works from any thread, again and again, or never") {
    bool const possible = can_kick();
    CHECK(kick() == possible);
    std::atomic<bool> stop{false};
    std::thread computes([&] {
        while (!stop) {}
    });
    for (int i = 0; i < 100; ++i) {
        CHECK(kick() == possible);
    }
    stop = true;
    computes.join();
    CHECK(can_kick() == possible);
}

}  // namespace
