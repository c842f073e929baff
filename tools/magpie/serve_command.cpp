#include "serve_command.hpp"

#include "background.hpp"
#include "command_failure.hpp"
#include "file_limit.hpp"
#include "interruption.hpp"
#include "number_text.hpp"
#include "output.hpp"
#include "reloader.hpp"

#include <magpie/runtime/runtime.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace magpie::tools {

namespace {

std::string_view name_of(server_protocol protocol) {
    return protocol == server_protocol::http ? "http" : "echo";
}

// How many connections the limit on open files leaves room for; says so when it is fewer than wanted.
std::size_t fit_connections(std::optional<std::size_t> wanted, unsigned workers) {
    constexpr std::size_t enough = 1'000'000;
    std::size_t const limit = raise_file_limit();
    std::size_t const others = descriptors_beside_connections(workers);
    if (limit <= others) {
        throw command_failure(exit_failed, too_few_files(wanted.value_or(1), limit, workers));
    }
    std::size_t const room = std::min(limit - others, enough);
    if (wanted && *wanted > room) {
        fmt::print(stderr, "magpie: {}; going on with {}\n", too_few_files(*wanted, limit, workers),
                   format_count(room));
    }
    return std::min(wanted.value_or(room), room);
}

void announce(serve_command const& command, io::endpoint const& where, magpie::runtime const& rt) {
    if (command.runtime.json) {
        nlohmann::ordered_json line = nlohmann::ordered_json::object();
        line["event"] = "listening";
        line["address"] = where.to_string();
        line["port"] = where.port();
        line["protocol"] = name_of(command.plan.protocol);
        line["backend"] = rt.backend();
        line["workers"] = rt.workers();
        print_json(line);
    } else {
        print(fmt::format("listening on {} ({}, {}, {} worker{})\n", where.to_string(), name_of(command.plan.protocol),
                          rt.backend(), rt.workers(), rt.workers() == 1 ? "" : "s"));
    }
}

task<> wait_for(interruption& stop) {
    co_await stop.wait();
    fmt::print(stderr, "magpie: draining; the same signal again ends at once\n");
}

task<> serve(serve_command const& command, server_run& server, interruption& stop, magpie::runtime const& rt) {
    io::tcp_listener const listener = co_await listen_on(command.listen.host, command.listen.port);
    announce(command, listener.local_endpoint().value(), rt);
    co_await server.run(listener, wait_for(stop));
}

}  // namespace

int serve_command::run() {
    config const settings = settings_of(runtime);
    unsigned const workers = effective_workers(settings).count;
    plan.max_connections = fit_connections(max_connections, workers);
    interruption stop;
    magpie::runtime rt(settings);
    plan.runtime_metrics = [&rt] { return rt.snapshot().prometheus(); };
    server_run server(plan, rt.workers());
    reloader hangup(rt);

    metrics const before = rt.snapshot();
    rt.block_on(with_background(hangup.run(), serve(*this, server, stop, rt)), {.name = "serve"});
    server_report report = server.report(before, rt.snapshot());
    report.title = fmt::format("magpie serve --protocol {}", name_of(plan.protocol));
    if (runtime.json) {
        print_json(report.to_json());
    } else {
        print(report.to_text());
    }
    return exit_ok;
}

}  // namespace magpie::tools
