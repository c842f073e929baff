#include <magpie/runtime/scheduler/topology.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <sched.h>

namespace magpie::detail {

namespace {

constexpr unsigned most_cpus = 1U << 16;  // a file that names more is not about CPUs

bool take_number(std::string_view& text, unsigned& number) noexcept {
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number >= most_cpus) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

// The N of every nodeN there, ascending.
std::vector<unsigned> node_numbers(std::filesystem::path const& folder) {
    std::vector<unsigned> numbers;
    std::error_code error;
    std::filesystem::directory_iterator entries(folder, error);
    for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
        std::string const name = entries->path().filename().string();
        std::string_view rest = name;
        unsigned number = 0;
        if (rest.starts_with("node")) {
            rest.remove_prefix(4);
            if (take_number(rest, number) && rest.empty()) {
                numbers.push_back(number);
            }
        }
    }
    std::ranges::sort(numbers);
    return numbers;
}

bool all_equal(std::span<std::uint16_t const> nodes) noexcept {
    return std::ranges::adjacent_find(nodes, std::ranges::not_equal_to{}) == nodes.end();
}

}  // namespace

std::vector<unsigned> parse_cpu_list(std::string_view text) {
    std::vector<unsigned> cpus;
    while (true) {
        unsigned first = 0;
        if (!take_number(text, first)) {
            return cpus;
        }
        unsigned last = first;
        if (text.starts_with('-')) {
            text.remove_prefix(1);
            if (!take_number(text, last) || last < first) {
                return cpus;
            }
        }
        for (unsigned cpu = first; cpu <= last; ++cpu) {
            cpus.push_back(cpu);
        }
        if (!text.starts_with(',')) {
            return cpus;
        }
        text.remove_prefix(1);
    }
}

topology topology::read(std::string const& root) {
    topology found;
    std::filesystem::path const folder = root + "/sys/devices/system/node";
    unsigned nodes = 0;
    for (unsigned const number : node_numbers(folder)) {
        std::ifstream file(folder / ("node" + std::to_string(number)) / "cpulist");
        std::string line;
        std::getline(file, line);
        auto const cpus = parse_cpu_list(line);
        if (cpus.empty()) {
            continue;
        }
        for (unsigned const cpu : cpus) {
            if (cpu >= found.node_of_cpu_.size()) {
                found.node_of_cpu_.resize(cpu + 1);
            }
            found.node_of_cpu_[cpu] = static_cast<std::uint16_t>(nodes);
        }
        ++nodes;
    }
    found.nodes_ = std::max(nodes, 1U);
    return found;
}

worker_places place_workers(config const& settings, std::span<unsigned const> allowed, std::string const& root) {
    worker_places places{.count = effective_workers(settings).count, .cpus = {}, .nodes = {}, .where = {}};
    if (!settings.pin || allowed.empty()) {
        return places;
    }
    for (unsigned i = 0; i < places.count; ++i) {
        places.cpus.push_back(allowed[i % allowed.size()]);
    }
    if (places.count == 1) {
        return places;
    }
    auto where = topology::read(root);
    std::vector<std::uint16_t> nodes;
    for (unsigned const cpu : places.cpus) {
        nodes.push_back(static_cast<std::uint16_t>(where.node_of(cpu)));
    }
    if (!all_equal(nodes)) {
        places.nodes = std::move(nodes);
        places.where = std::move(where);
    }
    return places;
}

std::vector<unsigned> allowed_cpus() {
    std::vector<unsigned> cpus;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed)) {
                cpus.push_back(cpu);
            }
        }
    }
    return cpus;
}

void bind_to_cpu(unsigned cpu) noexcept {
    if (cpu < CPU_SETSIZE) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
    }
}

unsigned current_cpu() noexcept {
    int const cpu = ::sched_getcpu();
    return cpu < 0 ? 0 : static_cast<unsigned>(cpu);
}

}  // namespace magpie::detail

namespace magpie {

unsigned numa_nodes() {
    return detail::topology::read().nodes();
}

}  // namespace magpie
