#pragma once

#include <magpie/runtime/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace magpie {

// What one worker has done since the runtime was made, and what lies in its queues now. Counters only ever rise.
struct worker_metrics {
    std::uint64_t tasks_resumed = 0;  // coroutines taken from a queue and resumed
    std::uint64_t steals_tried = 0;   // looks into another worker's run queue
    std::uint64_t steals_won = 0;     // those that found something
    std::uint64_t tasks_stolen = 0;   // what they, and rescues, brought; a steal takes up to half a queue
    std::uint64_t overflows = 0;      // times a full run queue spilled into the inject queue
    std::uint64_t parks = 0;          // times the worker went to sleep in its driver
    std::uint64_t wakeups = 0;        // times somebody else woke it up
    std::uint64_t completions = 0;    // I/O completions reaped from its driver
    std::uint64_t timers_fired = 0;
    std::uint64_t budget_exhausted = 0;  // times a task was sent to the back because its budget was used up
    std::uint64_t rescues = 0;           // times it took something over from a stuck worker
    std::uint64_t completions_taken_over = 0;  // by these; the stuck worker's `completions` counts them too
    std::uint64_t timers_taken_over = 0;       // fired for a stuck worker; in nobody's timers_fired
    std::uint64_t kicks = 0;  // times others interrupted it, because the kernel held completions of its ring back
    std::uint64_t tasks_placed = 0;   // that another worker began here, because there was less to do here

    std::size_t run_queue = 0;   // ready, may be stolen
    std::size_t fork_stack = 0;  // forked children that this worker has not exposed yet
    std::size_t pinned = 0;      // ready, may not be stolen
    std::size_t timers = 0;      // set and not yet due
    std::size_t operations = 0;  // of I/O: begun here, not over; a connection that is idle is one

    worker_metrics& operator+=(worker_metrics const& other) noexcept;
    bool operator==(worker_metrics const&) const = default;
};

// One of the limits that the config names, and the numbers of those who used it.
struct limit_metrics {
    std::string name{};
    std::size_t limit = 0;        // the present one
    std::size_t in_flight = 0;    // places that are taken
    std::uint64_t succeeded = 0;  // operations that were recorded
    std::uint64_t failed = 0;

    bool operator==(limit_metrics const&) const = default;
};

// A snapshot of a runtime: rt.snapshot(). The numbers are read one by one while the workers run, so that they need not
// fit together to the last unit.
struct metrics {
    std::vector<worker_metrics> workers{};  // by worker index; one more if the spare worker has ever been lent

    std::uint64_t tasks_spawned = 0;              // tasks begun by spawn or block_on
    std::uint64_t tasks_live = 0;                 // of these, not ended yet
    std::uint64_t tasks_destroyed_unstarted = 0;  // cancelled before their first step, or spawned too late; debug builds name the first ten
    std::uint64_t stalls = 0;                     // times a worker was found stuck in one task
    duration longest_stall{};                     // of those that have ended, to within 10 ms
    std::size_t inject_queue = 0;                 // ready, from outside or overflowed, taken by no worker yet
    std::size_t blocking_threads = 0;             // threads of the blocking pool
    std::size_t blocking_busy = 0;                // of these, running a call
    std::size_t blocking_queue = 0;               // calls that wait for a thread

    // By name; empty until somebody has asked for limits["..."].
    std::vector<limit_metrics> limits{};

    // The sum over all workers.
    worker_metrics totals() const noexcept;

    // Prometheus text exposition format 0.0.4: to be served as "text/plain; version=0.0.4". Counters end in _total;
    // per-worker samples carry the label worker="0", those of a named limit the label limit="upstream".
    std::string prometheus() const;
};

}  // namespace magpie
