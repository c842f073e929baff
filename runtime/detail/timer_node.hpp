#pragma once

#include <cstdint>
#include <limits>

namespace magpie::detail {

// What the timer heap keeps in a timer: its own, nobody else reads or writes it (runtime/scheduler/timer_heap.hpp).
struct timer_node {
    std::int64_t deadline = 0;
    std::uint32_t index = std::numeric_limits<std::uint32_t>::max();  // not in a heap
};

} // namespace magpie::detail
