#pragma once

#include "load_run.hpp"
#include "runtime_options.hpp"

#include <cstddef>
#include <optional>

namespace magpie::tools {

struct load_command {
    runtime_options runtime;
    load_plan plan;
    std::optional<std::size_t> connections{};  // as many as the limit

    // Sends the requests and prints the report, also after Ctrl-C. 1 if any of them failed.
    int run();
};

}  // namespace magpie::tools
