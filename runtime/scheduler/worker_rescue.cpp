// What a worker does for another that is stuck in one task: everything that waits there and need not.
//
//   ready tasks            are stolen anyway (worker_idle.cpp), by whoever has nothing to do; a few by who has
//   forked children        not exposed to thieves yet: taken under a claim (claim.hpp), and queued here
//   timers that are due    fired here: the heap has a lock, and whoever pops a timer wakes its task
//   completions            taken in here: see driver::take_over()
//   posted cancellations   carried out here, by the same
//   tasks sent to it       by a worker that had more to do: queued here
//
// All of these may be done by any thread at any time, and each is decided once: a timer by the heap's lock, a completion
// by the loop's reap lock, a cancellation by who takes the message. So it does not matter if the owner comes back in the
// middle, or if two workers have the same thought. An owner that sleeps is left alone, by its loop: completions that were
// taken away could not wake it. What cannot be taken over: pinned tasks, and what has no room in the owner's ring.
//
// The tasks that become ready run on the rescuer, and begin their next operation on its loop and their next sleep in its
// heap: whatever belongs to a bad worker moves away with the first rescue.

#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/detail/kick.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>

namespace magpie::detail {

namespace {

constexpr unsigned timers_per_rescue = 64;
constexpr std::size_t forks_per_rescue = 8;
constexpr unsigned ready_per_rescue = 8;
constexpr std::size_t placed_per_rescue = 64;
constexpr duration between_takes = std::chrono::milliseconds{1};

}  // namespace

bool worker::is_stranded() const noexcept {
    return (!forks_.empty() && can_kick()) || !placed_.empty() || loop_->is_stranded() || next_deadline() <= shared_.now();
}

// Each fork that is begun beside others keeps its frames. So who has something to do takes some only once in a
// while: they must not wait for ever for somebody who has nothing to do.
unsigned worker::take_forks_of(worker& stuck) noexcept {
    if (!may_steal_ || stuck.forks_.empty()) {
        return 0;
    }
    time_point const now = std::chrono::steady_clock::now();
    bool const is_busy = !run_queue_.empty() || !forks_.empty();
    if (is_busy && now - last_forks_ < between_takes) {
        return 0;
    }
    intrusive_queue<work_item> forks;
    auto const count = static_cast<unsigned>(stuck.forks_.take_claimed(forks_per_rescue, forks));
    while (work_item* const item = forks.pop_front()) {
        push(*item);
    }
    if (count != 0) {
        last_forks_ = now;
    }
    return count;
}

// Who has nothing to do steals them as always, but there may be nobody. So whoever looks takes some, once in a while.
unsigned worker::take_ready_of(worker& stuck) noexcept {
    if (!may_steal_ || !stuck.has_stealable()) {
        return 0;
    }
    time_point const now = std::chrono::steady_clock::now();
    if (now - last_ready_ < between_takes) {
        return 0;
    }
    unsigned count = 0;
    while (count < ready_per_rescue) {
        work_item* const item = stuck.stealable().steal_one();
        if (item == nullptr) {
            break;
        }
        push(*item);
        ++count;
    }
    if (count != 0) {
        last_ready_ = now;
        counters_.rescues.add();
        counters_.tasks_stolen.add(count);
    }
    return count;
}

unsigned worker::take_placed_of(worker& stuck) noexcept {
    intrusive_queue<work_item> taken;
    std::size_t const count = stuck.placed_.pop_batch(taken, placed_per_rescue);
    while (work_item* const item = taken.pop_front()) {
        push(*item);
    }
    return static_cast<unsigned>(count);
}

// True if there is something to run now.
bool worker::rescue_others() noexcept {
    stall_monitor* const monitor = shared_.monitor();
    if (monitor == nullptr || !monitor->anybody_stuck()) [[likely]] {
        return false;
    }
    bool found = false;
    unsigned const count = shared_.size_with_spare();
    unsigned const first = random_.below(count);
    for (unsigned i = 0; i < count; ++i) {
        worker& each = shared_.at(order_.at(i, first, count));
        if (&each == this || !each.is_stuck()) {
            continue;
        }
        found = take_ready_of(each) != 0 || found;
        if (each.is_stranded()) {
            found = take_over(each) || found;
        }
    }
    if (found) {
        last_find_ = std::chrono::steady_clock::now();
    }
    return found;
}

bool worker::take_over(worker& stuck) noexcept {
    unsigned const timers = fire_timers_of(stuck, timers_per_rescue);
    std::size_t const completions = stuck.loop_->take_over();
    unsigned const tasks = take_forks_of(stuck) + take_placed_of(stuck);
    if (timers == 0 && completions == 0 && tasks == 0) {
        return false;
    }
    counters_.rescues.add();
    counters_.timers_taken_over.add(timers);
    counters_.completions_taken_over.add(completions);
    counters_.tasks_stolen.add(tasks);
    return true;
}

}  // namespace magpie::detail
