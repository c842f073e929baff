#pragma once

// Which CPUs lie near each other, and which of them a worker runs on.
//
// Memory of another NUMA node is slower, and a cache line that another node has just written is slower still. So a
// worker that has nothing to do looks at the queues of its own node first (steal_order.hpp), and who has work to give
// away wakes a sleeper of its own node first (idle_set.hpp).
//
// Only a worker that is bound to a CPU (runtime.pin) has a node: one that is not runs where the kernel puts it, and
// what was near when it was asked is far at the next tick. Without pin, and where all workers are in one node, nothing
// is ordered: worker_places has no nodes, and nobody pays for the question.

#include <magpie/runtime/config.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace magpie::detail {

class topology {
public:
    // What /sys/devices/system/node tells; `root` stands before it, for tests. What cannot be read is one node.
    static topology read(std::string const& root = "");

    // Nodes with CPUs, at least 1; one with nothing but memory does not count. Numbered from 0, in the kernel's order.
    unsigned nodes() const noexcept { return nodes_; }
    // 0 for a CPU that no node names.
    unsigned node_of(unsigned cpu) const noexcept { return cpu < node_of_cpu_.size() ? node_of_cpu_[cpu] : 0; }

private:
    std::vector<std::uint16_t> node_of_cpu_;
    unsigned nodes_ = 1;
};

// The numbers of a list as the kernel writes it, "0-3,8": ascending as written; what is no number ends it.
std::vector<unsigned> parse_cpu_list(std::string_view text);

// Where the workers of a runtime run.
struct worker_places {
    unsigned count = 1;
    std::vector<unsigned> cpus;        // of each worker; empty if they are not bound
    std::vector<std::uint16_t> nodes;  // of each worker; empty if they are not bound, or all in one
    topology where;                    // read only if there are nodes to be found
};

// As many workers as the configuration asks for; if it binds them, the i-th to the i-th of `allowed`, over and over.
worker_places place_workers(config const& settings, std::span<unsigned const> allowed, std::string const& root = "");

// The CPUs in the affinity mask of the calling thread, ascending.
std::vector<unsigned> allowed_cpus();
// Binds the calling thread. A CPU that has gone meanwhile is no error: the thread stays where it may run.
void bind_to_cpu(unsigned cpu) noexcept;
// The one that the calling thread runs on now.
unsigned current_cpu() noexcept;

}  // namespace magpie::detail
