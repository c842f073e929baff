#include "server_stats.hpp"

#include <magpie/runtime/this_task.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace magpie::tools {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

struct family {
    char const* name;
    char const* help;
    std::uint64_t server_counts::* value;
};

constexpr std::array<family, 5> families = {
    {{"connections_total", "Connections accepted.", &server_counts::connections},
     {"received_bytes_total", "Bytes received.", &server_counts::bytes_received},
     {"sent_bytes_total", "Bytes sent.", &server_counts::bytes_sent},
     {"broken_connections_total", "Connections that ended in the midst of something.", &server_counts::broken},
     {"timed_out_connections_total", "Connections closed because nothing moved.", &server_counts::timed_out}}};

}  // namespace

server_counts& server_counts::operator+=(server_counts const& other) {
    connections += other.connections;
    requests += other.requests;
    bytes_received += other.bytes_received;
    bytes_sent += other.bytes_sent;
    broken += other.broken;
    timed_out += other.timed_out;
    for (auto const& [status, count] : other.statuses) {
        statuses[status] += count;
    }
    return *this;
}

server_stats::slot& server_stats::mine() {
    return slots_[this_task::worker()];
}

void server_stats::add_connection() {
    add(mine().connections, 1);
}

void server_stats::add_request(int status) {
    auto const index = static_cast<std::size_t>(std::max(status - first_status, 0));
    add(mine().statuses[std::min(index, status_count - 1)], 1);
}

void server_stats::add_messages(std::size_t count) {
    add(mine().messages, count);
}

void server_stats::add_received(std::size_t bytes) {
    add(mine().bytes_received, bytes);
}

void server_stats::add_sent(std::size_t bytes) {
    add(mine().bytes_sent, bytes);
}

void server_stats::add_broken() {
    add(mine().broken, 1);
}

void server_stats::add_timed_out() {
    add(mine().timed_out, 1);
}

server_counts server_stats::read(slot const& from) {
    server_counts counts;
    counts.connections = from.connections.load(relaxed);
    counts.requests = from.messages.load(relaxed);
    counts.bytes_received = from.bytes_received.load(relaxed);
    counts.bytes_sent = from.bytes_sent.load(relaxed);
    counts.broken = from.broken.load(relaxed);
    counts.timed_out = from.timed_out.load(relaxed);
    for (std::size_t i = 0; i < status_count; ++i) {
        if (std::uint64_t const count = from.statuses[i].load(relaxed); count > 0) {
            counts.statuses[first_status + static_cast<int>(i)] = count;
            counts.requests += count;
        }
    }
    return counts;
}

std::vector<server_counts> server_stats::by_worker() const {
    std::vector<server_counts> all;
    std::ranges::transform(slots_, std::back_inserter(all), &server_stats::read);
    return all;
}

server_counts server_stats::total() const {
    server_counts sum;
    for (slot const& each : slots_) {
        sum += read(each);
    }
    return sum;
}

std::string server_stats::prometheus() const {
    server_counts const sum = total();
    std::string text;
    auto const out = std::back_inserter(text);
    for (family const& each : families) {
        fmt::format_to(out, "# HELP magpie_server_{0} {1}\n# TYPE magpie_server_{0} counter\nmagpie_server_{0} {2}\n",
                       each.name, each.help, sum.*each.value);
    }
    fmt::format_to(out, "# HELP magpie_server_requests_total Requests answered, by worker and status.\n"
                        "# TYPE magpie_server_requests_total counter\n");
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        for (auto const& [status, count] : read(slots_[i]).statuses) {
            fmt::format_to(out, "magpie_server_requests_total{{worker=\"{}\",status=\"{}\"}} {}\n", i, status, count);
        }
    }
    return text;
}

}  // namespace magpie::tools
