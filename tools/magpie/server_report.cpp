#include "server_report.hpp"

#include "duration_text.hpp"
#include "number_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace magpie::tools {

nlohmann::ordered_json server_report::to_json() const {
    using json = nlohmann::ordered_json;
    json statuses = json::object();
    for (auto const& [status, count] : total.statuses) {
        statuses[std::to_string(status)] = count;
    }
    json result = json::object();
    result["event"] = "report";
    result["requests"] = total.requests;
    result["statuses"] = std::move(statuses);
    result["connections"] = total.connections;
    result["most_connections"] = most_connections;
    result["bytes_received"] = total.bytes_received;
    result["bytes_sent"] = total.bytes_sent;
    result["broken"] = total.broken;
    result["timed_out"] = total.timed_out;
    result["duration_s"] = std::chrono::duration<double>(duration).count();
    result["workers"] = workers_to_json(workers);
    return result;
}

std::string server_report::to_text() const {
    auto const line = [](std::string_view name, std::uint64_t count, std::string const& rest) {
        return fmt::format("  {:<12}{:>14}{}{}\n", name, format_count(count), rest.empty() ? "" : "   ", rest);
    };
    auto const bytes = [](std::uint64_t count) { return format_bytes(static_cast<double>(count)); };
    std::string text = title + "\n\n" + line("requests", total.requests, "in " + format_duration(duration));
    for (auto const& [status, count] : total.statuses) {
        text += line("", count, fmt::format("status {}", status));
    }
    text += line("connections", total.connections, fmt::format("at most {} at a time", format_count(most_connections)));
    if (total.broken > 0) {
        text += line("", total.broken, "broken off in the midst of something");
    }
    if (total.timed_out > 0) {
        text += line("", total.timed_out, "closed because nothing moved");
    }
    text += fmt::format("  {:<12}{:>14}\n  {:<12}{:>14}\n", "received", bytes(total.bytes_received), "sent",
                        bytes(total.bytes_sent));
    return text + worker_table(workers);
}

}  // namespace magpie::tools
