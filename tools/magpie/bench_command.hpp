#pragma once

#include "runtime_options.hpp"

#include <cstddef>
#include <string>

namespace magpie::tools {

struct bench_command {
    runtime_options runtime;
    std::size_t rounds = 5;     // of each, and of what it is compared with
    std::string group = "all";  // or nop, timer, spawn, echo

    // Runs the benchmarks of the group and prints a table. 1 if one of them failed.
    int run();
};

}  // namespace magpie::tools
