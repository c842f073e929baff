#include "demo_command.hpp"

#include "background.hpp"
#include "command_failure.hpp"
#include "file_limit.hpp"
#include "interruption.hpp"
#include "load_run.hpp"
#include "number_text.hpp"
#include "output.hpp"
#include "router.hpp"
#include "server_run.hpp"

#include <magpie/runtime/runtime.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace magpie::tools {

namespace {

load_plan plan_of(demo_command const& command) {
    load_plan plan;
    plan.requests = command.requests;
    plan.limit = command.limit;
    plan.connections = std::min(command.connections.value_or(command.limit), command.limit);
    plan.expected_length = home_body.size();
    return plan;
}

// Both sides, and the report of the client's.
class demo {
public:
    demo(demo_command const& command, magpie::runtime& rt)
        : rt_(rt),
          plan_(plan_of(command)),
          mode_(choose_progress_mode(command.runtime.json || command.runtime.quiet, stderr_is_terminal())) {}

    task<load_report> run() {
        io::tcp_listener const listener = co_await listen_on("127.0.0.1", 0);
        io::endpoint const where = listener.local_endpoint().value();
        plan_.target.host = where.address_text();
        plan_.target.port = where.port();
        plan_.addresses = {where};

        server_run server({.max_connections = plan_.connections + 1}, rt_.workers());
        load_run load(plan_, rt_.workers());
        progress_bar bar("demo", {.total = plan_.requests}, mode_, now());
        metrics const before = rt_.snapshot();
        co_await server.run(listener, with_background(load.stop_after(stop_), load.run(bar)));
        load_report report = load.report(before, rt_.snapshot());
        bar.finish(report.requests, report.failures, now());
        co_return report;
    }

private:
    magpie::runtime& rt_;
    load_plan plan_;
    progress_mode mode_;
    interruption stop_;
};

}  // namespace

int demo_command::run() {
    config settings = settings_of(runtime);
    settings.spare_worker = false;  // each worker has a tally of its own
    unsigned const workers = effective_workers(settings).count;
    std::size_t const sockets = 2 * std::min(connections.value_or(limit), limit);
    std::size_t const files = raise_file_limit();
    if (files < sockets + descriptors_beside_connections(workers)) {
        throw command_failure(exit_failed, too_few_files(sockets, files, workers));
    }

    magpie::runtime rt(settings);
    demo both(*this, rt);  // from here on it takes Ctrl-C as a wish
    if (!runtime.json && !runtime.quiet) {
        print(fmt::format("{} requests, {} at a time, to a server in this process; {} loop{} on {}\n",
                          format_count(requests), format_count(limit), rt.workers(), rt.workers() == 1 ? "" : "s",
                          rt.backend()));
    }
    load_report report = rt.block_on(both.run(), {.name = "demo"});
    report.title = "magpie demo";
    if (runtime.json) {
        nlohmann::ordered_json json = report.to_json();
        json["backend"] = rt.backend();
        print_json(json);
    } else {
        print(report.to_text());
    }
    return report.failures == 0 ? exit_ok : exit_failed;
}

}  // namespace magpie::tools
