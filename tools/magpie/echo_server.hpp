#pragma once

#include "connection_registry.hpp"
#include "echo_rules.hpp"
#include "server_stats.hpp"

#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

// Sends back what it receives, but for what the rules say.
class echo_server {
public:
    // `stats` and `registry` must outlive the connections.
    echo_server(server_stats& stats, connection_registry& registry, echo_rules const& rules = {});

    // Serves one connection until either side ends it. Throws nothing but task_cancelled.
    task<> handle(io::tcp_stream stream);

private:
    // What one write can send.
    struct answer {
        std::string_view bytes;
        std::size_t messages;
    };

    bool is_special(char first) const;
    // Takes the next messages off `received` and does what they ask for; nothing if there is no whole one.
    std::optional<answer> next_answer(std::string_view& received) const;
    answer answer_special(std::string_view message) const;

    server_stats& stats_;
    connection_registry& registry_;
    echo_rules const rules_;
    std::string const long_reply_;
};

}  // namespace magpie::tools
