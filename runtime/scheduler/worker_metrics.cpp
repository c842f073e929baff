#include <magpie/runtime/scheduler/worker.hpp>

#include <mutex>

namespace magpie::detail {

worker_metrics worker::look() const noexcept {
    worker_metrics m;
    m.tasks_resumed = counters_.tasks_resumed.value.load(mo_relaxed);
    m.steals_tried = counters_.steals_tried.value.load(mo_relaxed);
    m.steals_won = counters_.steals_won.value.load(mo_relaxed);
    m.tasks_stolen = counters_.tasks_stolen.value.load(mo_relaxed);
    m.overflows = counters_.overflows.value.load(mo_relaxed);
    m.parks = counters_.parks.value.load(mo_relaxed);
    m.wakeups = counters_.wakeups.value.load(mo_relaxed);
    m.completions = loop_->completions();
    m.timers_fired = counters_.timers_fired.value.load(mo_relaxed);
    m.budget_exhausted = counters_.budget_exhausted.value.load(mo_relaxed);
    m.rescues = counters_.rescues.value.load(mo_relaxed);
    m.completions_taken_over = counters_.completions_taken_over.value.load(mo_relaxed);
    m.timers_taken_over = counters_.timers_taken_over.value.load(mo_relaxed);
    m.kicks = kicks_.value.load(mo_relaxed) + loop_->kicks();
    m.tasks_placed = counters_.tasks_placed.value.load(mo_relaxed);
    m.run_queue = run_queue_.size();
    m.fork_stack = forks_seen_.load(mo_relaxed);
    m.pinned = pinned_seen_.load(mo_relaxed) + pinned_inbox_.size();
    m.operations = loop_->waiting();
    std::lock_guard const lock(timer_lock_);
    m.timers = timers_.size();
    return m;
}

}  // namespace magpie::detail
