#include "load_command.hpp"

#include "background.hpp"
#include "command_failure.hpp"
#include "file_limit.hpp"
#include "interruption.hpp"
#include "output.hpp"

#include <magpie/io/resolve.hpp>
#include <magpie/runtime/runtime.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace magpie::tools {

namespace {

task<std::vector<io::endpoint>> addresses_of(url target) {
    auto found = co_await io::resolve(target.host, std::to_string(target.port));
    if (!found || found->empty()) {
        std::string const why = found ? "it has no address" : found.error().message();
        throw command_failure(
            exit_failed,
            fmt::format("cannot find the host {}: {}; check its spelling, or give an address", target.host, why));
    }
    co_return std::move(*found);
}

}  // namespace

int load_command::run() {
    config settings = settings_of(runtime);
    settings.spare_worker = false;  // each worker has a tally of its own
    unsigned const workers = effective_workers(settings).count;
    plan.connections = std::min(connections.value_or(plan.limit), plan.limit);
    std::size_t const files = raise_file_limit();
    if (files < plan.connections + descriptors_beside_connections(workers)) {
        throw command_failure(exit_failed, too_few_files(plan.connections, files, workers));
    }

    interruption stop;
    magpie::runtime rt(settings);
    plan.addresses = rt.block_on(addresses_of(plan.target));
    load_run run(plan, rt.workers());
    progress_bar bar("load", {.total = plan.requests, .limit = plan.duration},
                     choose_progress_mode(runtime.json || runtime.quiet, stderr_is_terminal()), now());

    metrics const before = rt.snapshot();
    rt.block_on(with_background(run.stop_after(stop), run.run(bar)), {.name = "load"});
    load_report report = run.report(before, rt.snapshot());
    bar.finish(report.requests, report.failures, now());
    report.title = fmt::format("magpie load http://{}{}", plan.target.host_field(), plan.target.target());
    if (runtime.json) {
        print_json(report.to_json());
    } else {
        print(report.to_text());
    }
    return report.failures == 0 ? exit_ok : exit_failed;
}

}  // namespace magpie::tools
