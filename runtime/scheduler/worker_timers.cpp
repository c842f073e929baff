#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/timer.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>

#include <chrono>
#include <limits>
#include <mutex>

namespace magpie::detail {

namespace {

constexpr unsigned timers_per_look = 64;  // so that a storm of timers does not starve the rest

std::int64_t to_count(time_point t) noexcept {
    return std::chrono::duration_cast<duration>(t.time_since_epoch()).count();
}

} // namespace

void worker::add_timer(timer& t, time_point when) {
    std::lock_guard const lock(timer_lock_);
    timers_.insert(t, to_count(when));
    next_deadline_.store(timers_.next_deadline(), mo_relaxed);
}

bool worker::add_timer_and_suspend(timer& t, time_point when, waiter& w) {
    std::lock_guard const lock(timer_lock_);
    timers_.insert(t, to_count(when));  // may throw: before the waiter is published
    if (!w.context->suspend(w)) {
        timers_.erase(t);
        return false;
    }
    next_deadline_.store(timers_.next_deadline(), mo_relaxed);
    return true;
}

bool worker::remove_timer(timer& t) noexcept {
    std::lock_guard const lock(timer_lock_);
    if (!timers_.erase(t)) {
        return false;
    }
    next_deadline_.store(timers_.next_deadline(), mo_relaxed);
    return true;
}

void worker::fire_timers() noexcept {
    if (next_deadline_.load(mo_relaxed) == timer_heap::no_deadline) {
        return;
    }
    counters_.timers_fired.add(fire_timers_of(*this, fifo_ ? std::numeric_limits<unsigned>::max() : timers_per_look));
}

unsigned worker::fire_timers_of(worker& owner, unsigned at_most) noexcept {
    std::int64_t const now = to_count(shared_.now());
    unsigned fired = 0;
    while (fired < at_most && owner.next_deadline_.load(mo_relaxed) <= now) {
        timer* due = nullptr;
        {
            std::lock_guard const lock(owner.timer_lock_);
            due = static_cast<timer*>(owner.timers_.pop_expired(now));
            owner.next_deadline_.store(owner.timers_.next_deadline(), mo_relaxed);
        }
        if (due == nullptr) {
            break;
        }
        ++fired;
        due->expired();
    }
    return fired;
}

void arm(timer& t, time_point when) {
    worker& here = *current_worker();
    t.armed_at_ = &here;
    here.add_timer(t, when);
}

bool arm_and_suspend(timer& t, time_point when, waiter& w) {
    worker& here = *current_worker();
    t.armed_at_ = &here;
    return here.add_timer_and_suspend(t, when, w);
}

bool disarm(timer& t) noexcept {
    return t.armed_at_ != nullptr && t.armed_at_->remove_timer(t);
}

} // namespace magpie::detail
