#include <magpie/runtime/scheduler/config_keys.hpp>
#include <magpie/runtime/scheduler/cpu_count.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sched.h>
#include <unistd.h>

// Where a cgroup's CPU quota stands. /proc/self/cgroup names the process's group within each hierarchy, one line each:
// "0::/web" in the unified hierarchy (v2), "4:cpu,cpuacct:/web" in that of the cpu controller (v1). /proc/self/mountinfo
// tells where the hierarchies are mounted, and which group of it is the root of the mount: in a container often the
// container's own group, in which case the group's path goes only below that. The quota of every group from ours up to
// the root of the mount binds us.

namespace magpie {
namespace detail {
namespace {

struct quota {
    std::uint64_t time;    // per period
    std::uint64_t period;  // same unit
    std::string file;

    std::uint64_t cpus_rounded_up() const noexcept { return std::max<std::uint64_t>((time + period - 1) / period, 1); }
    bool tighter_than(quota const& other) const noexcept {
        return static_cast<double>(time) * static_cast<double>(other.period) <
               static_cast<double>(other.time) * static_cast<double>(period);
    }
};

struct mount {
    bool unified;
    std::string root;   // the group that is mounted
    std::string point;  // where
};

std::vector<std::string> words(std::string const& line, char separator) {
    std::vector<std::string> result;
    std::istringstream stream(line);
    for (std::string word; std::getline(stream, word, separator);) {
        result.push_back(std::move(word));
    }
    return result;
}

bool lists_cpu(std::string const& controllers) {
    return std::ranges::count(words(controllers, ','), "cpu") > 0;
}

// mountinfo writes a space as \040.
std::string unescaped(std::string const& text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int code = 0;
        auto const* const digits = text.data() + i + 1;
        if (text[i] == '\\' && i + 3 < text.size() && std::from_chars(digits, digits + 3, code, 8).ptr == digits + 3) {
            result += static_cast<char>(code);
            i += 3;
        } else {
            result += text[i];
        }
    }
    return result;
}

std::vector<mount> cgroup_mounts(std::string const& root) {
    std::vector<mount> mounts;
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        auto const fields = words(line, ' ');
        auto const dash = std::ranges::find(fields, "-");
        if (dash - fields.begin() < 6 || fields.end() - dash < 4) {
            continue;
        }
        bool const unified = dash[1] == "cgroup2";
        if (unified || (dash[1] == "cgroup" && lists_cpu(dash[3]))) {
            mounts.push_back({unified, unescaped(fields[3]), unescaped(fields[4])});
        }
    }
    return mounts;
}

// Our group in the unified or in the cpu hierarchy; empty if there is none.
std::string own_group(std::string const& root, bool unified) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        auto const first = line.find(':');
        auto const second = first == line.npos ? line.npos : line.find(':', first + 1);
        if (second == line.npos) {
            continue;
        }
        auto const controllers = line.substr(first + 1, second - first - 1);
        if (unified ? controllers.empty() && line.starts_with("0:") : lists_cpu(controllers)) {
            return line.substr(second + 1);
        }
    }
    return {};
}

// The part of `group` below the mount's root; empty for the root itself, or if the group lies outside of what we see.
std::string below_mount(std::string const& group, mount const& m) {
    auto const root = m.root == "/" ? std::string() : m.root;
    bool const inside = group.starts_with(root + "/") && !group.starts_with("/..");
    auto const rest = inside ? group.substr(root.size()) : std::string();
    return rest == "/" ? std::string() : rest;
}

// 0 for what is no number: "max" and "-1" mean that there is no quota, and no quota or period is 0.
std::uint64_t number_in(std::string const& text) {
    std::uint64_t number = 0;
    auto const [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && stop == text.data() + text.size() ? number : 0;
}

std::string first_line(std::string const& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::optional<quota> quota_of(std::string const& root, mount const& m, std::string const& group) {
    auto const directory = m.point + group;
    auto const file = directory + (m.unified ? "/cpu.max" : "/cpu.cfs_quota_us");
    auto line = words(first_line(root + file), ' ');
    if (!m.unified) {
        line.push_back(first_line(root + directory + "/cpu.cfs_period_us"));
    }
    line.resize(2);
    quota const found{number_in(line[0]), number_in(line[1]), file};
    return found.time > 0 && found.period > 0 ? std::optional(found) : std::nullopt;
}

std::optional<quota> tightest_quota(std::string const& root) {
    std::optional<quota> tightest;
    for (auto const& m : cgroup_mounts(root)) {
        auto group = own_group(root, m.unified);
        if (group.empty()) {
            continue;
        }
        group = below_mount(group, m);
        for (bool more = true; more;) {
            if (auto found = quota_of(root, m, group); found && (!tightest || found->tighter_than(*tightest))) {
                tightest = std::move(found);
            }
            more = !group.empty();
            group.resize(more ? group.rfind('/') : 0);
        }
    }
    return tightest;
}

}  // namespace

worker_count count_cpus(unsigned affinity, std::string const& root) {
    constexpr std::uint64_t most = 1024;
    auto const cpus = std::clamp<std::uint64_t>(affinity, 1, most);
    auto const mask = fmt::format("{} CPU{} in the affinity mask", affinity, affinity == 1 ? "" : "s");
    auto const found = tightest_quota(root);
    if (!found) {
        return {static_cast<unsigned>(cpus), mask + ", no cgroup CPU quota"};
    }
    auto const share = static_cast<double>(found->time) / static_cast<double>(found->period);
    if (found->cpus_rounded_up() < cpus) {
        return {static_cast<unsigned>(found->cpus_rounded_up()),
                fmt::format("cgroup CPU quota of {:.4g} ({}), rounded up", share, found->file)};
    }
    return {static_cast<unsigned>(cpus), fmt::format("{}, within the cgroup CPU quota of {:.4g}", mask, share)};
}

unsigned affinity_count() {
    // The kernel refuses a mask smaller than its own, whose size it does not tell.
    for (std::size_t cpus = 1024; cpus <= 1024 * 1024; cpus *= 4) {
        std::unique_ptr<cpu_set_t, decltype([](cpu_set_t* set) { CPU_FREE(set); })> const set(CPU_ALLOC(cpus));
        auto const size = CPU_ALLOC_SIZE(cpus);
        if (set && ::sched_getaffinity(0, size, set.get()) == 0) {
            return static_cast<unsigned>(CPU_COUNT_S(size, set.get()));
        }
    }
    auto const online = ::sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? static_cast<unsigned>(online) : 1;
}

}  // namespace detail

worker_count effective_workers(config const& c) {
    if (c.clock == clock_kind::simulated) {
        return {1, "the simulated clock has one worker"};
    }
    if (c.drive == drive_kind::external) {
        return {1, "external drive has one worker"};
    }
    if (c.workers == 0) {
        return detail::count_cpus(detail::affinity_count());
    }
    auto const where = detail::place_of(c, "runtime.workers", std::uint64_t{c.workers});
    return {c.workers, !where.variable.empty() ? "environment variable " + where.variable
                       : !where.file.empty()   ? fmt::format("{}:{}", where.file, where.line)
                                               : "set in code"};
}

}  // namespace magpie
