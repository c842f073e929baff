#pragma once

#include "runtime_options.hpp"
#include "server_run.hpp"
#include "url.hpp"

#include <cstddef>
#include <optional>

namespace magpie::tools {

struct serve_command {
    runtime_options runtime;
    listen_address listen{.host = "127.0.0.1", .port = 8080};
    std::optional<std::size_t> max_connections{};  // as many as the limit on open files allows
    server_plan plan;

    // Serves until Ctrl-C or SIGTERM, drains, and prints its report. Throws what the program answers with 1 or 2.
    int run();
};

}  // namespace magpie::tools
