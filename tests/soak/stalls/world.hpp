#pragma once

#include <magpie/io/tcp.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <soak/stalls/load.hpp>
#include <soak/stalls/watchdog.hpp>

namespace magpie::tests {

// How often what happened. A report without one of them would say that something was not tried.
enum class tally_of : std::uint8_t {
    bytes,
    sessions,
    broken,
    accepted,
    into_own,
    borrowed,
    handed_on,
    timed_out,
    past_limit,
    cancelled,
    in_spite,
    lost_race,
    forked,
    last,
};

inline constexpr std::array<char const*, static_cast<std::size_t>(tally_of::last)> tally_names = {
    "bytes received and checked",
    "sessions, both ends counted",
    "sessions cut short",
    "connections accepted",
    "reads into own memory",
    "reads into borrowed buffers",
    "buffers given back by another task",
    "operations ended by timeout()",
    "operations ended by their own limit",
    "operations cancelled",
    "operations that completed in spite of it",
    "reads that lost a select()",
    "gathers",
};

// What the tasks of one round share.
struct world {
    world(watchdog& by, unsigned workers, std::uint64_t its_seed) : watch(by), work(workers), seed(its_seed) {}

    void count(tally_of what, std::uint64_t n = 1) noexcept {
        tallies[static_cast<std::size_t>(what)].fetch_add(n, std::memory_order_relaxed);
    }
    // A number of its own for each actor and session.
    std::uint64_t number() noexcept { return numbers.fetch_add(1, std::memory_order_relaxed); }

    watchdog& watch;
    load work;
    std::uint64_t const seed;
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> numbers{1};
    std::atomic<std::uint64_t> detached{0};  // tasks that nobody joins
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(tally_of::last)> tallies{};
};

}  // namespace magpie::tests
