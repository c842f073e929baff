// What a worker does for another that is stuck in one task: everything that waits there and need not.
//
//   ready tasks            are stolen anyway (worker_idle.cpp)
//   timers that are due    fired here: the heap has a lock, and whoever pops a timer wakes its task
//   completions            taken in here: see driver::take_over()
//   posted cancellations   carried out here, by the same
//
// All of these may be done by any thread at any time, and each is decided once: a timer by the heap's lock, a completion
// by the loop's reap lock, a cancellation by who takes the message. So it does not matter if the owner comes back in the
// middle, if two workers have the same thought, or if the mark is out of date. What cannot be taken over: pinned tasks,
// and receives that wait for a buffer.
//
// The tasks that become ready run on the rescuer, and begin their next operation on its loop and their next sleep in its
// heap: whatever belongs to a bad worker moves away with the first rescue.

#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>

namespace magpie::detail {

namespace {

constexpr unsigned timers_per_rescue = 64;

}  // namespace

bool worker::is_stranded() const noexcept {
    return loop_->is_stranded() || next_deadline() <= shared_.now();
}

bool worker::others_are_stranded() const noexcept {
    stall_monitor* const monitor = shared_.monitor();
    if (monitor == nullptr || !monitor->anybody_stuck()) [[likely]] {
        return false;
    }
    for (unsigned i = 0; i < shared_.size(); ++i) {
        worker const& each = shared_.at(i);
        if (i != index_ && each.stuck_.load(mo_relaxed) && each.is_stranded()) {
            return true;
        }
    }
    return false;
}

// True if there is something to run now.
bool worker::rescue_others() noexcept {
    stall_monitor* const monitor = shared_.monitor();
    if (monitor == nullptr || !monitor->anybody_stuck()) [[likely]] {
        return false;
    }
    bool found = false;
    unsigned const first = random_.below(shared_.size());
    for (unsigned i = 0; i < shared_.size(); ++i) {
        worker& each = shared_.at((first + i) % shared_.size());
        if (&each != this && each.stuck_.load(mo_relaxed) && each.is_stranded()) {
            found = take_over(each) || found;
        }
    }
    return found;
}

bool worker::take_over(worker& stuck) noexcept {
    unsigned const timers = fire_timers_of(stuck, timers_per_rescue);
    std::size_t const completions = stuck.loop_->take_over();
    if (timers == 0 && completions == 0) {
        return false;
    }
    counters_.rescues.add();
    counters_.timers_taken_over.add(timers);
    counters_.completions_taken_over.add(completions);
    return true;
}

}  // namespace magpie::detail
