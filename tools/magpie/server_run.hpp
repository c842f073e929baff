#pragma once

#include "connection_registry.hpp"
#include "echo_server.hpp"
#include "http_server.hpp"
#include "server_report.hpp"
#include "server_stats.hpp"

#include <magpie/io/tcp.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace magpie::tools {

enum class server_protocol : std::uint8_t { http, echo };

struct server_plan {
    server_protocol protocol = server_protocol::http;
    echo_rules echo{};
    std::size_t max_connections = 10'000;
    std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);  // 0: none
    std::chrono::nanoseconds drain = std::chrono::seconds(10);         // what requests get to end in, after the end
    std::function<std::string()> runtime_metrics{};                    // for /metrics
};

// Binds to a name or an address, or with an empty host to every address of this machine. Throws command_failure with the
// cause and the remedy.
task<io::tcp_listener> listen_on(std::string host, std::uint16_t port);

// A server from its first connection to its report.
class server_run {
public:
    server_run(server_plan plan, unsigned workers);

    // Serves until `until` has ended, well or not. Then no connection is accepted any more, idle ones are closed, requests
    // in progress may end.
    task<> run(io::tcp_listener const& listener, task<> until);

    // After run(). The snapshots were taken before it and after it.
    server_report report(metrics const& before, metrics const& after) const;

private:
    task<> accept_all(io::tcp_listener const& listener);
    task<> drain_after(task<> until);

    server_plan const plan_;
    server_stats stats_;
    connection_registry registry_;
    http_server http_;
    echo_server echo_;
    time_point begun_{};
    time_point ended_{};
};

}  // namespace magpie::tools
