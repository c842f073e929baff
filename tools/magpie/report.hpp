#pragma once

// What a load run has to say at its end, for people and for programs.

#include "histogram.hpp"

#include <magpie/runtime/metrics.hpp>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace magpie::tools {

struct latency_summary {
    std::chrono::nanoseconds min{};
    std::chrono::nanoseconds mean{};
    std::chrono::nanoseconds p50{};
    std::chrono::nanoseconds p90{};
    std::chrono::nanoseconds p99{};
    std::chrono::nanoseconds p99_9{};
    std::chrono::nanoseconds max{};
};

latency_summary summarize(histogram const& latencies);

// What one loop did during the run.
struct worker_report {
    unsigned worker = 0;
    std::uint64_t requests = 0;  // whose answer was verified on this loop
    std::uint64_t tasks_resumed = 0;
    std::uint64_t steals_tried = 0;
    std::uint64_t steals_won = 0;
    std::uint64_t completions = 0;
    std::uint64_t timers = 0;
    std::uint64_t wake_ups = 0;
    std::uint64_t parks = 0;
};

// What the loops did between two snapshots, by worker; without the requests.
std::vector<worker_report> work_between(metrics const& before, metrics const& after);

// The workers as a table, each line with its end, and as [{worker, requests, ...}].
std::string worker_table(std::vector<worker_report> const& workers);
nlohmann::ordered_json workers_to_json(std::vector<worker_report> const& workers);

struct load_report {
    std::string title;                            // the first line of the text: "magpie load http://..."
    std::uint64_t requests = 0;                   // that ended, well or not; never less than the failures
    std::uint64_t failures = 0;                   // a wrong, cut or missing answer, no connection, a time-out
    std::map<std::string, std::uint64_t> errors;  // the failures by kind
    std::chrono::nanoseconds duration{};
    std::uint64_t bytes_received = 0;
    latency_summary latency;  // of the requests that did not fail
    std::vector<worker_report> workers;
    bool interrupted = false;  // ended before its time, by Ctrl-C
    std::optional<limit_metrics> limit{};  // the one of the configuration, at the end, if it was used

    // Counts one that ended well, or one that did not. Keep to these and failures stay the sum of the errors.
    void add_success() { ++requests; }
    void add_failure(std::string_view kind);

    // Requests that ended well, per second; 0 for a run that took no time.
    double throughput() const;

    // requests, failures, errors {kind: count}, throughput (1/s), duration_s, bytes_received, interrupted,
    // latency_us {min, mean, p50, p90, p99, p99.9, max}, workers [{worker, requests, ...}], and with a named limit
    // limit {name, at_end}. Numbers are numbers.
    nlohmann::ordered_json to_json() const;

    // Several lines in columns, each with its line end. UTF-8.
    std::string to_text() const;
};

}  // namespace magpie::tools
