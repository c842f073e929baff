#pragma once

#include <magpie/runtime/config.hpp>

namespace magpie::detail {

// The CPUs this process may keep busy: `affinity` of them (0 counts as 1), or the CPU quota of its cgroup and of those
// above it, rounded up, if that is less. `root` stands before /proc and /sys, for tests. What cannot be read is no
// limit. At least 1, at most 1024.
worker_count count_cpus(unsigned affinity, std::string const& root = "");

// CPUs in the affinity mask of the calling thread.
unsigned affinity_count();

}  // namespace magpie::detail
