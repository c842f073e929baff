#pragma once

#include "runtime_options.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace magpie::tools {

struct demo_command {
    runtime_options runtime;
    std::uint64_t requests = 100'000;
    std::size_t limit = 64;
    std::optional<std::size_t> connections{};  // as many as the limit

    // Server and client in one runtime, over the loopback interface: sends the requests, prints the report. 1 if any of
    // them failed.
    int run();
};

}  // namespace magpie::tools
