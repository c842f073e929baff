#include <magpie/runtime/clock.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <type_traits>

TEST_CASE("duration takes any integral chrono duration without loss") {
    using namespace std::chrono_literals;
    static_assert(std::is_convertible_v<std::chrono::nanoseconds, magpie::duration>);
    static_assert(std::is_convertible_v<std::chrono::hours, magpie::duration>);
    CHECK(magpie::duration{1h}.count() == 3'600'000'000'000);
    CHECK(magpie::duration{7ns}.count() == 7);
}

TEST_CASE("time_point is that of the steady clock, and durations add to it") {
    using namespace std::chrono_literals;
    static_assert(std::is_same_v<magpie::time_point, std::chrono::steady_clock::time_point>);
    magpie::time_point const start{};
    CHECK((start + 5ms) - start == magpie::duration{5ms});
}

TEST_CASE("now() on a thread without a runtime is the steady clock") {
    auto const before = std::chrono::steady_clock::now();
    auto const now = magpie::now();
    auto const after = std::chrono::steady_clock::now();
    CHECK(before <= now);
    CHECK(now <= after);
}
