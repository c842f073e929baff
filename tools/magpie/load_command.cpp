#include "load_command.hpp"

#include "background.hpp"
#include "command_failure.hpp"
#include "file_limit.hpp"
#include "interruption.hpp"
#include "output.hpp"
#include "reloader.hpp"

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

// The most requests at a time that a limit of the configuration can come to.
std::size_t most_of(config const& settings, std::string const& name) {
    auto const found = settings.limits.find(name);
    if (found == settings.limits.end()) {
        throw command_failure(exit_usage, fmt::format("there is no limit {0} in the configuration: add {0} = 64 to section "
                                                      "[limits] of the file that --config names",
                                                      name));
    }
    limit_config const& limit = found->second;
    return limit.kind == limit_kind::fixed ? limit.initial : limit.max;
}

std::optional<limit_metrics> limit_named(std::string const& name, metrics const& seen) {
    auto const found = std::ranges::find(seen.limits, name, &limit_metrics::name);
    return found == seen.limits.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

int load_command::run() {
    config settings = settings_of(runtime);
    settings.spare_worker = false;  // each worker has a tally of its own
    unsigned const workers = effective_workers(settings).count;
    if (!plan.named_limit.empty()) {
        plan.limit = most_of(settings, plan.named_limit);
    }
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

    reloader hangup(rt);
    metrics const before = rt.snapshot();
    rt.block_on(with_background(hangup.run(), with_background(run.stop_after(stop), run.run(bar))), {.name = "load"});
    metrics const after = rt.snapshot();
    load_report report = run.report(before, after);
    report.limit = limit_named(plan.named_limit, after);
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
