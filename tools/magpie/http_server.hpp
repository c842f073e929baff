#pragma once

#include "connection_registry.hpp"
#include "http_parser.hpp"
#include "server_stats.hpp"

#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace magpie::tools {

struct http_server_options {
    http_limits limits{};
    // Answers of one connection that may wait to be written; the requests behind them wait in the socket.
    std::size_t output_limit = std::size_t{64} * 1024;
    // After a refusal: how long, and how much, of what the client still sends is thrown away, so that it gets to read
    // the answer. Closing at once would reset the connection.
    std::chrono::nanoseconds linger = std::chrono::seconds(2);
    std::size_t linger_bytes = std::size_t{16} * 1024 * 1024;
    // The text of /metrics that is not the server's own. Called on any worker, several times at once.
    std::function<std::string()> metrics{};
};

// HTTP/1.1 with keep-alive and pipelining: the answers to all requests that one read brought go out in one write. What
// it answers is the router's to decide. An idle connection holds no buffer.
class http_server {
public:
    // `stats` and `registry` must outlive the connections.
    http_server(server_stats& stats, connection_registry& registry, http_server_options options);

    // Serves one connection until either side ends it. Throws nothing but task_cancelled.
    task<> handle(io::tcp_stream stream);

private:
    friend class http_connection;

    std::string metrics_text() const;

    server_stats& stats_;
    connection_registry& registry_;
    http_server_options options_;
};

}  // namespace magpie::tools
