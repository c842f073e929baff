#include <magpie/runtime/metrics.hpp>

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <string_view>

namespace magpie {
namespace {

// One row per number: what sums them up and what prints them walk the same tables.
struct worker_counter {
    std::uint64_t worker_metrics::* member;
    std::string_view name;
    std::string_view help;
};
constexpr worker_counter worker_counters[] = {
    {&worker_metrics::tasks_resumed, "magpie_tasks_resumed_total", "Coroutines taken from a queue and resumed."},
    {&worker_metrics::steals_tried, "magpie_steals_tried_total", "Looks into another worker's run queue."},
    {&worker_metrics::steals_won, "magpie_steals_won_total", "Steals that found something."},
    {&worker_metrics::tasks_stolen, "magpie_tasks_stolen_total", "Tasks taken from other workers."},
    {&worker_metrics::overflows, "magpie_run_queue_overflows_total", "Times a full run queue spilled over."},
    {&worker_metrics::parks, "magpie_parks_total", "Times the worker went to sleep."},
    {&worker_metrics::wakeups, "magpie_wakeups_total", "Times somebody woke the worker."},
    {&worker_metrics::completions, "magpie_completions_total", "I/O completions reaped."},
    {&worker_metrics::timers_fired, "magpie_timers_fired_total", "Timers that fired."},
    {&worker_metrics::budget_exhausted, "magpie_budget_exhausted_total", "Times a task had used up its budget."},
    {&worker_metrics::rescues, "magpie_rescues_total", "Times the worker took something over from a stuck one."},
    {&worker_metrics::completions_taken_over, "magpie_completions_taken_over_total", "I/O completions taken over."},
    {&worker_metrics::timers_taken_over, "magpie_timers_taken_over_total", "Timers fired for a stuck worker."},
    {&worker_metrics::kicks, "magpie_kicks_total", "Interrupts sent for completions that the kernel held back."},
    {&worker_metrics::tasks_placed, "magpie_tasks_placed_total", "Tasks that another worker began on this one."},
};

struct worker_gauge {
    std::size_t worker_metrics::* member;
    std::string_view name;
    std::string_view help;
};
constexpr worker_gauge worker_gauges[] = {
    {&worker_metrics::run_queue, "magpie_run_queue_depth", "Ready tasks that may be stolen."},
    {&worker_metrics::fork_stack, "magpie_fork_stack_depth", "Forked children not exposed to thieves yet."},
    {&worker_metrics::pinned, "magpie_pinned_depth", "Ready tasks that may not be stolen."},
    {&worker_metrics::timers, "magpie_timers", "Timers set and not yet due."},
    {&worker_metrics::operations, "magpie_operations", "I/O operations begun and not over."},
};

struct limit_number {
    std::uint64_t (*of)(limit_metrics const&);
    std::string_view name;
    std::string_view type;
    std::string_view help;
};
constexpr limit_number limit_numbers[] = {
    {[](limit_metrics const& l) -> std::uint64_t { return l.limit; }, "magpie_limit", "gauge",
     "Operations that may be in flight at once."},
    {[](limit_metrics const& l) -> std::uint64_t { return l.in_flight; }, "magpie_limit_in_flight", "gauge",
     "Operations in flight under the limit."},
    {[](limit_metrics const& l) { return l.succeeded; }, "magpie_limit_succeeded_total", "counter",
     "Operations under the limit that succeeded."},
    {[](limit_metrics const& l) { return l.failed; }, "magpie_limit_failed_total", "counter",
     "Operations under the limit that failed."},
};

class exposition {
public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        fmt::format_to(end(), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    }
    void sample(std::string_view name, std::uint64_t value) { fmt::format_to(end(), "{} {}\n", name, value); }
    void sample(std::string_view name, std::size_t worker, std::uint64_t value) {
        fmt::format_to(end(), "{}{{worker=\"{}\"}} {}\n", name, worker, value);
    }
    void single(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
        family(name, type, help);
        sample(name, value);
    }
    template <class Row>
    void per_worker(Row const& row, std::string_view type, std::vector<worker_metrics> const& workers) {
        family(row.name, type, row.help);
        for (std::size_t i = 0; i < workers.size(); ++i) {
            sample(row.name, i, workers[i].*row.member);
        }
    }
    // A limit's name needs no escapes: letters, digits, '-' or '_'.
    void per_limit(limit_number const& row, std::vector<limit_metrics> const& limits) {
        family(row.name, row.type, row.help);
        for (auto const& each : limits) {
            fmt::format_to(end(), "{}{{limit=\"{}\"}} {}\n", row.name, each.name, row.of(each));
        }
    }
    std::string text() && { return std::move(text_); }

private:
    std::back_insert_iterator<std::string> end() { return std::back_inserter(text_); }

    std::string text_;
};

}  // namespace

worker_metrics& worker_metrics::operator+=(worker_metrics const& other) noexcept {
    for (auto const& row : worker_counters) {
        this->*row.member += other.*row.member;
    }
    for (auto const& row : worker_gauges) {
        this->*row.member += other.*row.member;
    }
    return *this;
}

worker_metrics metrics::totals() const noexcept {
    worker_metrics sum;
    for (auto const& worker : workers) {
        sum += worker;
    }
    return sum;
}

std::string metrics::prometheus() const {
    exposition out;
    out.single("magpie_workers", "gauge", "Event loops.", workers.size());
    out.single("magpie_tasks_spawned_total", "counter", "Tasks begun by spawn or block_on.", tasks_spawned);
    out.single("magpie_tasks_live", "gauge", "Tasks begun and not ended yet.", tasks_live);
    out.single("magpie_tasks_destroyed_unstarted_total", "counter", "Tasks that never ran.", tasks_destroyed_unstarted);
    out.single("magpie_stalls_total", "counter", "Times a worker was found stuck in one task.", stalls);
    out.single("magpie_longest_stall_microseconds", "gauge", "Longest time that a worker was stuck in one task.",
               static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(longest_stall).count()));
    out.single("magpie_inject_queue_depth", "gauge", "Ready tasks that no worker has taken yet.", inject_queue);
    out.single("magpie_blocking_threads", "gauge", "Threads of the blocking pool.", blocking_threads);
    out.single("magpie_blocking_busy", "gauge", "Threads of the blocking pool that run a call.", blocking_busy);
    out.single("magpie_blocking_queue_depth", "gauge", "Calls that wait for a blocking thread.", blocking_queue);
    for (auto const& row : worker_counters) {
        out.per_worker(row, "counter", workers);
    }
    for (auto const& row : worker_gauges) {
        out.per_worker(row, "gauge", workers);
    }
    for (auto const& row : limit_numbers) {
        if (!limits.empty()) {
            out.per_limit(row, limits);
        }
    }
    return std::move(out).text();
}

}  // namespace magpie
