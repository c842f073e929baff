#include "doctor_command.hpp"

#include "command_failure.hpp"
#include "number_text.hpp"
#include "output.hpp"
#include "runtime_options.hpp"

#include <magpie/io/capabilities.hpp>
#include <magpie/runtime/config.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include <linux/membarrier.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace magpie::tools {

namespace {

struct finding {
    std::string_view name;
    std::string value;
    std::string advice{};  // a sentence; empty if all is well
    bool fatal = false;
};

std::string first_line(char const* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::string limit_text(rlim_t value, bool bytes) {
    if (value == RLIM_INFINITY) {
        return "unlimited";
    }
    return bytes ? format_bytes(static_cast<double>(value)) : format_count(value);
}

finding look_at_io_uring(io::capability_report const& can) {
    finding result{.name = "io_uring", .value = fmt::format("yes, {} operations", can.operations.count())};
    if (!can.io_uring) {
        result.value = "refused: " + can.refused_because;
        result.advice =
            fmt::format("io_uring is refused because {}: {}. Until then the poll backend (epoll) serves the "
                        "same connections, more slowly.",
                        can.refused_because, can.remedy);
    } else if (!can.cooperative || !can.buffer_rings) {
        result.advice = "This kernel lacks newer parts of io_uring; Linux 5.19 or newer is faster.";
    }
    return result;
}

finding look_at_poll(io::capability_report const& can) {
    finding result{.name = "epoll", .value = can.poll ? "yes" : "no"};
    if (!can.poll && !can.io_uring) {
        result.advice = "Neither io_uring nor epoll can be used: magpie cannot run here; look at the seccomp profile.";
        result.fatal = true;
    }
    return result;
}

finding look_at_open_files() {
    constexpr rlim_t comfortable = 16'384;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return {.name = "open files", .value = "unknown"};
    }
    finding result{.name = "open files",
                   .value = fmt::format("{}, can be raised to {}", limit_text(limit.rlim_cur, false),
                                        limit_text(limit.rlim_max, false))};
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < comfortable) {
        result.advice = fmt::format("A connection is an open file, and the hard limit is {}: raise it with `ulimit -Hn "
                                    "65536` as root, or with LimitNOFILE= in a systemd unit.",
                                    limit.rlim_max);
    }
    return result;
}

finding look_at_locked_memory(io::capability_report const& can) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return {.name = "locked memory", .value = "unknown"};
    }
    finding result{.name = "locked memory", .value = limit_text(limit.rlim_cur, true)};
    constexpr rlim_t needed_by_old_kernels = rlim_t{8} * 1024 * 1024;
    if (can.io_uring && !can.buffer_rings && limit.rlim_cur < needed_by_old_kernels) {
        result.advice = "Old kernels count rings as locked memory: raise the limit with `ulimit -l 65536`.";
    }
    return result;
}

finding look_at_workers(config const& settings) {
    worker_count const workers = effective_workers(settings);
    finding result{.name = "workers", .value = fmt::format("{} ({})", workers.count, workers.source)};
    long const online = ::sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 0 && workers.count > static_cast<unsigned long>(online)) {
        result.advice = fmt::format("{} workers on {} CPUs stand in each other's way: set runtime.workers to \"auto\".",
                                    workers.count, online);
    } else if (workers.count == 1) {
        result.advice = "With one worker nobody can take over from a task that keeps it busy.";
    }
    return result;
}

finding look_at_nodes(config const& settings) {
    unsigned const nodes = numa_nodes();
    finding result{.name = "NUMA nodes", .value = std::to_string(nodes)};
    if (nodes > 1) {
        result.value += settings.pin ? ", bound workers prefer their own" : ", all alike to workers that are not bound";
        if (!settings.pin) {
            result.advice = "On a machine that runs little else, set runtime.pin = true: bound workers take work from "
                            "their own NUMA node first.";
        }
    }
    return result;
}

finding look_at_clock() {
    finding result{.name = "clock",
                   .value = first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")};
    if (result.value.empty()) {
        result.value = "unknown";
    } else if (result.value == "hpet" || result.value == "acpi_pm" || result.value == "jiffies") {
        result.advice =
            fmt::format("Asking the clock '{}' for the time is a slow system call; if the machine has a sound "
                        "tsc or kvm-clock, boot with clocksource=tsc.",
                        result.value);
    }
    return result;
}

finding look_at_membarrier() {
    long const commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    bool const usable = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
    finding result{.name = "membarrier", .value = usable ? "yes" : "no"};
    if (!usable) {
        result.advice =
            "While a task keeps its worker busy, completed operations of that worker wait for the timer tick, up to 4 "
            "ms, and forked children that no other worker has seen wait for the task: let the seccomp filter allow "
            "membarrier.";
    }
    return result;
}

finding look_at_backlog(io::capability_report const& can) {
    constexpr std::int64_t comfortable = 1024;
    finding result{.name = "backlog", .value = can.listen_backlog < 0 ? "unknown" : std::to_string(can.listen_backlog)};
    if (can.listen_backlog >= 0 && can.listen_backlog < comfortable) {
        result.advice =
            "Many connections at once are refused when the backlog is full: raise net.core.somaxconn to 4096.";
    }
    return result;
}

std::vector<finding> look_around(config const& settings) {
    io::capability_report const can = io::capabilities();
    return {{.name = "kernel", .value = can.kernel},
            look_at_io_uring(can),
            look_at_poll(can),
            look_at_workers(settings),
            look_at_nodes(settings),
            look_at_open_files(),
            look_at_locked_memory(can),
            look_at_backlog(can),
            look_at_clock(),
            look_at_membarrier()};
}

std::string text_of(std::vector<finding> const& findings, bool runs) {
    std::string text;
    std::string advice;
    for (finding const& each : findings) {
        text += fmt::format("  {:<15}{}\n", each.name, each.value);
        if (!each.advice.empty()) {
            advice += fmt::format("- {}\n", each.advice);
        }
    }
    std::string const verdict = !runs            ? "magpie cannot run here.\n"
                                : advice.empty() ? "All is well.\n"
                                                 : "magpie runs here. What could be better:\n";
    return text + "\n" + verdict + advice;
}

nlohmann::ordered_json json_of(std::vector<finding> const& findings, bool runs) {
    auto json = nlohmann::ordered_json::object();
    auto advice = nlohmann::ordered_json::array();
    json["ok"] = runs;
    for (finding const& each : findings) {
        json[std::string(each.name)] = each.value;
        if (!each.advice.empty()) {
            advice.push_back(each.advice);
        }
    }
    json["advice"] = std::move(advice);
    return json;
}

}  // namespace

int doctor_command::run() const {
    auto const findings = look_around(settings_of({.config_file = config_file}));
    bool runs = true;
    for (finding const& each : findings) {
        runs = runs && !each.fatal;
    }
    if (json) {
        print_json(json_of(findings, runs), true);
    } else {
        print(text_of(findings, runs));
    }
    return runs ? exit_ok : exit_failed;
}

}  // namespace magpie::tools
