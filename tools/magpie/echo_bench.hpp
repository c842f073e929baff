#pragma once

#include <magpie/runtime/task.hpp>

#include <chrono>
#include <cstddef>

namespace magpie::tools {

// Round trips of a 64-byte message over TCP on this machine, client and server in this runtime: the time of all. Throw
// std::system_error, or what a result without a value throws.
task<std::chrono::nanoseconds> echo_one(std::size_t round_trips);
task<std::chrono::nanoseconds> echo_many(std::size_t round_trips);

// The same between two threads that block in read() and write(): what the machine does without any event loop.
task<std::chrono::nanoseconds> echo_blocking(std::size_t round_trips);

}  // namespace magpie::tools
