#pragma once

#include "connection_registry.hpp"
#include "server_stats.hpp"

#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

// A message that begins with `first` costs its handler that much CPU.
struct burn_rule {
    char first = 0;
    std::chrono::nanoseconds time{};
};

// BYTE:DURATION, where BYTE is a character or 0xNN: "x:5ms", "0xff:200us". The error is one sentence.
std::expected<burn_rule, std::string> parse_burn_rule(std::string_view text);

// Sends back what it receives. A message is what one read brings.
class echo_server {
public:
    // `stats` and `registry` must outlive the connections.
    echo_server(server_stats& stats, connection_registry& registry, std::optional<burn_rule> burn_on = std::nullopt)
        : stats_(stats), registry_(registry), burn_on_(burn_on) {}

    // Serves one connection until either side ends it. Throws nothing but task_cancelled.
    task<> handle(io::tcp_stream stream);

private:
    server_stats& stats_;
    connection_registry& registry_;
    std::optional<burn_rule> burn_on_;
};

}  // namespace magpie::tools
