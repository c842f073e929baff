#pragma once

#include <magpie/runtime/clock.hpp>

#include <chrono>
#include <cstddef>

namespace magpie::detail {

// Samples come in about the order in which they end. One that ends so much before another has been measured by another
// clock: a thread outside a runtime with simulated clock, or the next such runtime.
inline constexpr duration other_clock = std::chrono::minutes{1};

// What one operation under a limit tells of the server.
struct limit_sample {
    time_point began;  // if the latency is not known: when it ended
    duration latency = unknown;
    bool succeeded = true;
    bool full = false;          // it took the last place, or others had to wait: the limit is in use
    std::size_t in_flight = 0;  // when it had begun, with itself

    static constexpr duration unknown{-1};
    time_point ended() const noexcept { return latency > duration::zero() ? began + latency : began; }
};

}  // namespace magpie::detail
