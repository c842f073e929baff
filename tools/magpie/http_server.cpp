#include "http_server.hpp"

#include "http_connection.hpp"

#include <utility>

namespace magpie::tools {

http_server::http_server(server_stats& stats, connection_registry& registry, http_server_options options)
    : stats_(stats), registry_(registry), options_(std::move(options)) {}

task<> http_server::handle(io::tcp_stream stream) {
    stats_.add_connection();
    http_connection connection(*this, std::move(stream));
    co_await connection.run();
}

std::string http_server::metrics_text() const {
    return (options_.metrics ? options_.metrics() : std::string()) + stats_.prometheus();
}

}  // namespace magpie::tools
