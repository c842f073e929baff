#pragma once

#include <chrono>

namespace magpie {

// Every span of time in the library. Converts from any integral std::chrono duration without loss.
using duration = std::chrono::nanoseconds;

// Every point in time in the library: deadlines for sleep_until and reschedule, and what now() returns.
using time_point = std::chrono::steady_clock::time_point;

// The time. On a worker whose runtime has the simulated clock it is that runtime's virtual time, which stands still
// while anything is runnable; everywhere else it is std::chrono::steady_clock::now(). Any thread. Never goes back
// within one runtime; points of a simulated and of a real clock must not be mixed.
time_point now() noexcept;

}  // namespace magpie
