#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/hooks.hpp>

#include <cstdint>
#include <source_location>
#include <string>

namespace magpie {

enum class task_state : std::uint8_t {
    queued,     // ready, has not run yet
    running,    // on a worker now, or ready to go on
    suspended,  // waits for something that a cancellation can end
};

// One spawned task, as rt.tasks() saw it. A snapshot: it may have moved on since.
struct task_info {
    task_id id = 0;                // unlike any other; workers take a few at a time, so that they say little about the order
    std::string name{};
    std::source_location where{};  // where it was spawned
    task_state state = task_state::queued;
    duration age{};                // since it was spawned
    unsigned cancelling = 0;       // requests to cancel it that were not taken back
    std::string awaits{};          // what it waits for, if it is known: "sleep", "semaphore", "task 12"
};

} // namespace magpie
