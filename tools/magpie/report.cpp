#include "report.hpp"

#include "duration_text.hpp"
#include "number_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace magpie::tools {

namespace {

using std::chrono::nanoseconds;

struct latency_column {
    char const* name;
    nanoseconds latency_summary::* value;
};

constexpr std::array<latency_column, 7> latency_columns = {{{"min", &latency_summary::min},
                                                            {"mean", &latency_summary::mean},
                                                            {"p50", &latency_summary::p50},
                                                            {"p90", &latency_summary::p90},
                                                            {"p99", &latency_summary::p99},
                                                            {"p99.9", &latency_summary::p99_9},
                                                            {"max", &latency_summary::max}}};

struct worker_column {
    char const* key;      // in JSON
    char const* heading;  // in the text
    std::uint64_t worker_report::* value;
};

constexpr std::array<worker_column, 8> worker_columns = {{{"requests", "requests", &worker_report::requests},
                                                          {"tasks_resumed", "resumed", &worker_report::tasks_resumed},
                                                          {"steals_tried", "steals", &worker_report::steals_tried},
                                                          {"steals_won", "won", &worker_report::steals_won},
                                                          {"completions", "completions", &worker_report::completions},
                                                          {"timers", "timers", &worker_report::timers},
                                                          {"wake_ups", "wake-ups", &worker_report::wake_ups},
                                                          {"parks", "parks", &worker_report::parks}}};

double in_seconds(nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

double in_microseconds(nanoseconds duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

std::string headline(load_report const& report) {
    std::string const received =
        report.duration > nanoseconds{} && report.bytes_received > 0
            ? "   " + format_bytes(static_cast<double>(report.bytes_received) / in_seconds(report.duration)) + "/s"
            : std::string();
    return fmt::format("  {:<12}{:>14}   in {}{}\n", "requests", format_count(report.requests),
                       format_duration(report.duration), report.interrupted ? " (interrupted)" : "") +
           fmt::format("  {:<12}{:>14}   a second{}\n", "throughput",
                       format_count(static_cast<std::uint64_t>(report.throughput() + 0.5)), received) +
           fmt::format("  {:<12}{:>14}\n", "failures", format_count(report.failures));
}

std::string error_lines(load_report const& report) {
    std::string text;
    for (auto const& [kind, count] : report.errors) {
        text += fmt::format("  {:<12}{:>14}   {}\n", "", format_count(count), kind);
    }
    return text;
}

std::string limit_line(std::optional<limit_metrics> const& limit) {
    return limit ? fmt::format("  {:<12}{:>14}   at the end ({})\n", "limit", format_count(limit->limit), limit->name)
                 : std::string();
}

std::string latency_lines(latency_summary const& latency) {
    std::string names = fmt::format("\n  {:<9}", "latency");
    std::string values = fmt::format("  {:<9}", "");
    for (latency_column const& column : latency_columns) {
        names += fmt::format("{:>12}", column.name);
        values += fmt::format("{:>12}", format_duration(latency.*column.value));
    }
    return names + "\n" + values + "\n";
}

}  // namespace

latency_summary summarize(histogram const& latencies) {
    return {.min = latencies.min(),
            .mean = latencies.mean(),
            .p50 = latencies.percentile(50),
            .p90 = latencies.percentile(90),
            .p99 = latencies.percentile(99),
            .p99_9 = latencies.percentile(99.9),
            .max = latencies.max()};
}

std::vector<worker_report> work_between(metrics const& before, metrics const& after) {
    std::vector<worker_report> workers;
    for (std::size_t i = 0; i < after.workers.size(); ++i) {
        // The spare worker may have been lent for the first time in between.
        worker_metrics const then = i < before.workers.size() ? before.workers[i] : worker_metrics{};
        worker_metrics const& now = after.workers[i];
        workers.push_back({.worker = static_cast<unsigned>(i),
                           .tasks_resumed = now.tasks_resumed - then.tasks_resumed,
                           .steals_tried = now.steals_tried - then.steals_tried,
                           .steals_won = now.steals_won - then.steals_won,
                           .completions = now.completions - then.completions,
                           .timers = now.timers_fired - then.timers_fired,
                           .wake_ups = now.wakeups - then.wakeups,
                           .parks = now.parks - then.parks});
    }
    return workers;
}

std::string worker_table(std::vector<worker_report> const& workers) {
    if (workers.empty()) {
        return {};
    }
    std::string text = fmt::format("\n  {:<9}", "worker");
    for (worker_column const& column : worker_columns) {
        text += fmt::format("{:>12}", column.heading);
    }
    text += "\n";
    for (worker_report const& worker : workers) {
        text += fmt::format("  {:<9}", worker.worker);
        for (worker_column const& column : worker_columns) {
            text += fmt::format("{:>12}", format_count(worker.*column.value));
        }
        text += "\n";
    }
    return text;
}

nlohmann::ordered_json workers_to_json(std::vector<worker_report> const& workers) {
    auto loops = nlohmann::ordered_json::array();
    for (worker_report const& worker : workers) {
        auto loop = nlohmann::ordered_json::object();
        loop["worker"] = worker.worker;
        for (worker_column const& column : worker_columns) {
            loop[column.key] = worker.*column.value;
        }
        loops.push_back(std::move(loop));
    }
    return loops;
}

void load_report::add_failure(std::string_view kind) {
    ++requests;
    ++failures;
    ++errors[std::string(kind)];
}

double load_report::throughput() const {
    return duration > nanoseconds{} ? static_cast<double>(requests - failures) / in_seconds(duration) : 0;
}

nlohmann::ordered_json load_report::to_json() const {
    using json = nlohmann::ordered_json;
    json kinds = json::object();
    for (auto const& [kind, count] : errors) {
        kinds[kind] = count;
    }
    json latency_us = json::object();
    for (latency_column const& column : latency_columns) {
        latency_us[column.name] = in_microseconds(latency.*column.value);
    }
    json result = json::object();
    result["requests"] = requests;
    result["failures"] = failures;
    result["errors"] = std::move(kinds);
    result["throughput"] = throughput();
    result["duration_s"] = in_seconds(duration);
    result["bytes_received"] = bytes_received;
    result["interrupted"] = interrupted;
    result["latency_us"] = std::move(latency_us);
    result["workers"] = workers_to_json(workers);
    if (limit) {
        result["limit"] = {{"name", limit->name}, {"at_end", limit->limit}};
    }
    return result;
}

std::string load_report::to_text() const {
    std::string const heading = title.empty() ? std::string() : title + "\n\n";
    return heading + headline(*this) + error_lines(*this) + limit_line(limit) + latency_lines(latency) +
           worker_table(workers);
}

}  // namespace magpie::tools
