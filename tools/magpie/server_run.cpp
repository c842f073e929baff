#include "server_run.hpp"

#include "background.hpp"
#include "command_failure.hpp"

#include <magpie/io/endpoint.hpp>
#include <magpie/io/resolve.hpp>
#include <magpie/io/serve.hpp>

#include <fmt/format.h>

#include <system_error>
#include <utility>
#include <vector>

namespace magpie::tools {

namespace {

io::tcp_listener bind_to(io::endpoint const& where) {
    io::result<io::tcp_listener> listener = io::tcp_listener::bind(where);
    if (!listener) {
        throw command_failure(exit_failed, io::tcp_listener::explain(listener.error(), where));
    }
    return std::move(*listener);
}

io::tcp_listener bind_to_all_addresses(std::uint16_t port) {
    io::result<io::tcp_listener> listener = io::tcp_listener::bind(io::endpoint::any_v6(port));
    if (listener) {
        return std::move(*listener);
    }
    bool const no_ipv6 = listener.error() == std::errc::address_family_not_supported ||
                         listener.error() == std::errc::address_not_available;
    return bind_to(no_ipv6 ? io::endpoint::any_v4(port) : io::endpoint::any_v6(port));
}

}  // namespace

task<io::tcp_listener> listen_on(std::string host, std::uint16_t port) {
    if (host.empty()) {
        co_return bind_to_all_addresses(port);
    }
    auto const found = co_await io::resolve(host, std::to_string(port));
    if (!found || found->empty()) {
        std::string const why = found ? "it has no address" : found.error().message();
        throw command_failure(exit_failed, fmt::format("cannot listen on {}: {}; give an address of this machine, such "
                                                       "as 127.0.0.1:8080",
                                                       host, why));
    }
    co_return bind_to(found->front());
}

server_run::server_run(server_plan plan, unsigned workers)
    : plan_(std::move(plan)),
      stats_(workers),
      registry_(plan_.idle_timeout),
      http_(stats_, registry_, {.metrics = plan_.runtime_metrics}),
      echo_(stats_, registry_, plan_.echo) {}

task<> server_run::run(io::tcp_listener const& listener, task<> until) {
    begun_ = now();
    co_await with_background(registry_.watch(), with_background(accept_all(listener), drain_after(std::move(until))));
    ended_ = now();
}

task<> server_run::accept_all(io::tcp_listener const& listener) {
    auto const handle = [this](io::tcp_stream stream) {
        return plan_.protocol == server_protocol::http ? http_.handle(std::move(stream))
                                                       : echo_.handle(std::move(stream));
    };
    // Idle connections are the registry's to end.
    co_await io::serve(listener, handle, {.limit = plan_.max_connections, .drain = plan_.drain});
}

task<> server_run::drain_after(task<> until) {
    struct on_exit {
        connection_registry& registry;
        ~on_exit() { registry.drain(); }
    } const drain{registry_};
    co_await std::move(until);
}

server_report server_run::report(metrics const& before, metrics const& after) const {
    server_report result{.title = {},
                         .total = stats_.total(),
                         .most_connections = registry_.most(),
                         .duration = ended_ - begun_,
                         .workers = work_between(before, after)};
    auto const by_worker = stats_.by_worker();
    // The spare worker has no slot: what it answered is counted with worker 0's.
    for (std::size_t i = 0; i < by_worker.size() && i < result.workers.size(); ++i) {
        result.workers[i].requests = by_worker[i].requests;
    }
    return result;
}

}  // namespace magpie::tools
