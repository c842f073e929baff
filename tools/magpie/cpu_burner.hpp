#pragma once

#include <chrono>

namespace magpie::tools {

// Computes until the calling thread has used that much CPU time. Time in which the thread does not run does not count.
void burn_cpu(std::chrono::nanoseconds amount);

}  // namespace magpie::tools
