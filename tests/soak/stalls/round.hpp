#pragma once

#include <magpie/runtime/config.hpp>

#include <array>
#include <chrono>
#include <cstdint>

#include <soak/stalls/world.hpp>

namespace magpie::tests {

// What has happened in all rounds.
struct totals {
    std::array<std::uint64_t, static_cast<std::size_t>(tally_of::last)> tallies{};
    std::uint64_t rounds = 0;
    std::uint64_t storms = 0;
    std::uint64_t rescues = 0;
    std::uint64_t completions = 0;
    std::uint64_t completions_taken_over = 0;
    std::uint64_t timers_taken_over = 0;
    std::uint64_t tasks_stolen = 0;
    std::uint64_t stalls = 0;
    std::uint64_t lent_in = 0;  // rounds in which the spare worker was lent
    std::uint64_t tasks_of_spare = 0;
};

// One runtime, from its construction to its end, with a configuration that only the seed decides. Adds to `sum`.
void run_round(watchdog& watch, std::uint64_t seed, io_backend backend, std::chrono::milliseconds length, totals& sum);

}  // namespace magpie::tests
