// What a worker does when its queues are empty: it looks at the others', looks a little longer, and sleeps.

#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>

#include <algorithm>
#include <chrono>

namespace magpie::detail {

namespace {

constexpr int search_passes = 4;      // over all others, before a searcher gives up
constexpr int relaxes_per_pass = 32;  // about a microsecond
constexpr std::size_t few = 4;        // items in a queue, which its owner may come to sooner than a thief
constexpr unsigned patience = 10;     // looks on end at which they must be the same
constexpr unsigned most_looks = 100;  // on end at which there were any: the owner has enough of them to share

std::int64_t to_count(time_point t) noexcept {
    return std::chrono::duration_cast<duration>(t.time_since_epoch()).count();
}

} // namespace

work_item* worker::search() noexcept {
    if (fifo_) {
        return nullptr;
    }
    look_around();
    if (work_item* const item = take()) {
        return item;
    }
    if (!may_steal_) {
        return nullptr;
    }
    if (!searching_) {
        searching_ = shared_.idle.try_start_searching();
        if (!searching_) {
            return nullptr;
        }
    }
    for (int pass = 0; pass < search_passes; ++pass) {
        if (work_item* const item = steal_from_others(patience)) {
            return item;
        }
        for (int i = 0; i < relaxes_per_pass; ++i) {
            cpu_relax();
        }
    }
    return nullptr;
}

// A few items that their owner takes within microseconds are left to it: tasks that hand something to each other, a mutex
// say, would only carry it to and fro between two CPUs. They are stolen if they lie still for so many looks, or if there
// are some at each of very many looks: then the owner has no rest, and this worker has.
work_item* worker::steal_from_others(unsigned looks_at_few) noexcept {
    unsigned const others = shared_.size_with_spare();
    unsigned const first = random_.below(others);
    for (unsigned i = 0; i < others; ++i) {
        worker& victim = shared_.at(order_.at(i, first, others));
        if (&victim == this) {
            continue;
        }
        auto& queue = victim.stealable();
        std::size_t const waiting = queue.size();
        if (waiting == 0) {
            glances_[victim.index_].looks = 0;
            victim.ask_for_forks();
            continue;
        }
        if (waiting <= few && looks_at_few != 0 && !is_worth_it(victim, looks_at_few)) {
            victim.ask_for_forks();
            continue;
        }
        counters_.steals_tried.add();
        work_item* item = nullptr;
        unsigned taken = 0;
        if (queue.steal_into(run_queue_.owner(), item, taken) == steal_result::taken) {
            counters_.steals_won.add();
            counters_.tasks_stolen.add(taken);
            return item;
        }
    }
    return nullptr;
}

bool worker::is_worth_it(worker& victim, unsigned looks_at_few) noexcept {
    glance& last = glances_[victim.index_];
    std::uint32_t const oldest = victim.stealable().oldest();
    last.same = oldest == last.oldest ? last.same + 1 : 0;
    last.oldest = oldest;
    if (last.same < looks_at_few && ++last.looks < most_looks) {
        return false;
    }
    last.looks = 0;
    return true;
}

// While this worker searched, those who published work woke nobody. So the last searcher looks for what they left.
void worker::found_work() noexcept {
    if (!searching_) {
        return;
    }
    searching_ = false;
    if (shared_.idle.stop_searching()) {
        full_fence();  // orders the count before the look (idle_set.hpp)
        if (!run_queue_.empty() || !shared_.injected.empty() || others_have_work()) {
            shared_.wake_one();
        }
    }
}

bool worker::others_have_work() const noexcept {
    if (!may_steal_) {
        return false;
    }
    for (unsigned i = 0; i < shared_.size_with_spare(); ++i) {
        if (i != index_ && shared_.at(i).has_stealable()) {
            return true;
        }
    }
    return false;
}

// Who sleeps has not necessarily searched: half of the others may have been at it. Behind park(): who forks and sees a
// worker parked exposes forks without being asked, but one whose children run one after the other does not look.
void worker::ask_others_for_forks() noexcept {
    if (!may_steal_) {
        return;
    }
    for (unsigned i = 0; i < shared_.size_with_spare(); ++i) {
        if (i != index_) {
            shared_.at(i).ask_for_forks();
        }
    }
}

bool worker::anything_to_do(atomic<bool> const& stop) noexcept {
    return stop.load(mo_acquire) || !pinned_inbox_.empty() || !placed_.empty() || !shared_.injected.empty() ||
           others_have_work();
}

void worker::sleep(atomic<bool> const& stop) {
    if (spin(stop)) {
        return;
    }
    shared_.idle.park(index_, searching_);
    searching_ = false;
    if (anything_to_do(stop)) {
        shared_.idle.search_again(index_);
        searching_ = true;
        if (stall_monitor* const monitor = shared_.monitor()) {
            monitor->woke_up();  // it may have counted this worker among the parked, and gone to sleep
        }
        return;
    }
    ask_others_for_forks();
    counters_.parks.add();
    stall_monitor* const monitor = shared_.monitor();
    auto const before = std::chrono::steady_clock::now();
    time_point const look = monitor != nullptr ? monitor->next_look(before, last_find_) : time_point::max();
    if (look != time_point::max() && monitor->try_watch()) {
        loop_->park(std::min(next_deadline(), look));
        monitor->stop_watching();
    } else {
        loop_->park(next_deadline());
        spin_pays_ = std::chrono::steady_clock::now() - before < 2 * shared_.settings().spin;
    }
    searching_ = !shared_.idle.unpark_self(index_);
    if (monitor != nullptr) {
        monitor->woke_up();
    }
    if (searching_) {
        counters_.wakeups.add();
    }
}

// Looks a little longer before it sleeps, if the last sleeps were short: being woken costs ten times as much.
bool worker::spin(atomic<bool> const& stop) noexcept {
    duration const most = shared_.settings().spin;
    if (most == duration::zero() || !spin_pays_) {
        return false;
    }
    auto const until = std::chrono::steady_clock::now() + most;
    do {
        for (int i = 0; i < relaxes_per_pass; ++i) {
            cpu_relax();
            if (loop_->has_work()) {
                return true;
            }
        }
        yield_thread();  // to the thread that this one waits for, which may have been put on the same CPU
        if (anything_to_do(stop) || next_deadline_.load(mo_relaxed) <= to_count(shared_.now())) {
            return true;
        }
    } while (std::chrono::steady_clock::now() < until);
    return false;
}

// Simulated clock, nothing is ready: time passes at once. False: it never will.
bool worker::advance_clock(atomic<bool> const& stop) {
    // Before the look at the queues: what somebody outside has brought is there when he is gone.
    bool const somebody_outside = shared_.outside()->any();
    if (stop.load(mo_acquire) || !shared_.injected.empty() || !pinned_inbox_.empty()) {
        return true;
    }
    if (somebody_outside) {
        loop_->park(time_point::max());
        return true;
    }
    std::int64_t const deadline = next_deadline_.load(mo_relaxed);
    if (deadline == timer_heap::no_deadline) {
        return !shared_.injected.empty();
    }
    shared_.set_simulated_now(std::max(shared_.now(), time_point(duration(deadline))));
    return true;
}

} // namespace magpie::detail
