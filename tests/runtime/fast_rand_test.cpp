#include <magpie/runtime/detail/fast_rand.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>

namespace {

using magpie::detail::fast_rand;

TEST_CASE("fast_rand: is SplitMix64") {
    fast_rand random(1234567);
    // Reference values of the published algorithm for this seed.
    CHECK(random.next() == 6457827717110365317U);
    CHECK(random.next() == 3203168211198807973U);
    CHECK(random.next() == 9817491932198370423U);
}

TEST_CASE("fast_rand: the same seed gives the same numbers, another seed others") {
    fast_rand a(7);
    fast_rand b(7);
    fast_rand c(8);
    int equal = 0;
    for (int i = 0; i < 100; ++i) {
        std::uint64_t const x = a.next();
        CHECK(x == b.next());
        equal += x == c.next() ? 1 : 0;
    }
    CHECK(equal == 0);
}

TEST_CASE("fast_rand: below() stays below, and 0 gives 0") {
    fast_rand random(1);
    for (std::uint32_t const bound : {1U, 2U, 3U, 1000U, 0xffffffffU}) {
        for (int i = 0; i < 1000; ++i) {
            CHECK(random.below(bound) < bound);
        }
    }
    CHECK(random.below(0) == 0);
}

TEST_CASE("fast_rand: below() hits every victim about equally often, for seeds that are worker numbers") {
    constexpr std::uint32_t workers = 7;
    std::array<int, workers> hits{};
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        fast_rand random(seed);
        for (int i = 0; i < 7; ++i) {
            ++hits[random.below(workers)];
        }
    }
    for (int const n : hits) {
        CHECK(n > 850);  // 1000 expected, with a standard deviation of 29
        CHECK(n < 1150);
    }
}

}  // namespace
