#pragma once

#include "report.hpp"
#include "server_stats.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace magpie::tools {

// What a server has to say when it has ended.
struct server_report {
    std::string title;
    server_counts total;
    std::size_t most_connections = 0;  // at one time
    std::chrono::nanoseconds duration{};
    std::vector<worker_report> workers;  // requests: answered on this loop

    // event "report", requests, statuses {status: count}, connections, most_connections, bytes_received, bytes_sent,
    // broken, timed_out, duration_s, workers [{worker, requests, ...}].
    nlohmann::ordered_json to_json() const;
    std::string to_text() const;
};

}  // namespace magpie::tools
