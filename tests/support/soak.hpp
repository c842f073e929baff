#pragma once

// For tests that try random schedules until their time is up (tests/soak/). `./dev soak` sets both variables; whoever
// sees a failure repeats it with the seed that was printed.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace magpie::tests {

// How long each soak test goes on: MAGPIE_SOAK_SECONDS, 5 s when it is not set.
inline std::chrono::seconds soak_time() {
    char const* const text = std::getenv("MAGPIE_SOAK_SECONDS");
    return std::chrono::seconds{text == nullptr ? 5 : std::strtol(text, nullptr, 10)};
}

// MAGPIE_SEED, or one from the system. The same for every call in a process; printed on the first.
inline std::uint64_t soak_seed() {
    static std::uint64_t const seed = [] {
        char const* const text = std::getenv("MAGPIE_SEED");
        std::random_device source;
        std::uint64_t const chosen =
            text == nullptr ? (std::uint64_t{source()} << 32) | source() : std::strtoull(text, nullptr, 0);
        std::printf("seed: %llu\n", static_cast<unsigned long long>(chosen));
        std::fflush(stdout);
        return chosen;
    }();
    return seed;
}

} // namespace magpie::tests
