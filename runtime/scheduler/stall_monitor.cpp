#include <magpie/runtime/scheduler/stall_monitor.hpp>

#include <magpie/runtime/detail/kick.hpp>
#include <magpie/runtime/hooks.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/tell_hook.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <fmt/format.h>

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

namespace magpie::detail {

namespace {

using namespace std::chrono_literals;

constexpr duration idle_period = 10ms;        // between looks while nothing happens, at the end
constexpr duration drowsy_after = 50ms;       // of that, before the monitor sleeps for good
constexpr duration longest_period = 5ms;      // between looks at workers that are awake
constexpr duration soonest_look = 100us;      // of a worker that watches over others
constexpr duration lend_after = 10ms;         // the least stall of all for which a spare worker is lent
constexpr duration told_while_it_lasts = 1s;  // a stall as long as this is told before its end
constexpr duration worth_a_line = 100ms;      // without a hook, shorter stalls are only counted
constexpr duration slice = 100us;             // of a CPU, for the monitor's thread

// The monitor must not wait for a slice of the very thread that it is to find out about. With a short slice of its own it
// takes the CPU as soon as it wakes: sched_setattr(2), SCHED_OTHER, since Linux 6.12; older kernels ignore it.
void ask_for_short_slice() noexcept {
    struct {  // struct sched_attr: not in glibc's headers
        std::uint32_t size;
        std::uint32_t policy;
        std::uint64_t flags;
        std::int32_t nice;
        std::uint32_t priority;
        std::uint64_t runtime;
        std::uint64_t deadline;
        std::uint64_t period;
    } attributes{};
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0U) == 0 && attributes.policy == SCHED_OTHER) {
        attributes.runtime = static_cast<std::uint64_t>(slice.count());
        (void)::syscall(SYS_sched_setattr, 0, &attributes, 0U);
    }
}

}  // namespace

stall_monitor::stall_monitor(scheduler& of)
    : shared_(of), threshold_(of.settings().stall_threshold), records_(of.size() + 1),
      trimmer_(frame_cache::look()) {
    for (record& each : records_) {
        each.since = std::chrono::steady_clock::now();
    }
}

void stall_monitor::start() {
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), (shared_.settings().name + "/stall").substr(0, 15).c_str());
        frame_cache::begin_trimming();
        watch();
        frame_cache::end_trimming();
    });
}

void stall_monitor::stop() noexcept {
    if (!thread_.joinable()) {
        return;
    }
    {
        std::lock_guard const lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void stall_monitor::woke_up() noexcept {
    full_fence();  // pairs with the one in sleep_until_needed(): off the parked before the look
    if (!asleep_.load(mo_relaxed)) {
        return;
    }
    {
        std::lock_guard const lock(mutex_);
        woken_ = true;
    }
    wake_.notify_one();
}

bool stall_monitor::try_watch() noexcept {
    return !watched_.exchange(true, mo_relaxed);
}

// Soon, while there is something to find; then ever later, by an eighth of the time that has passed in vain. The worker
// has nothing else to do, but each look is a wake-up: when they have become as rare as the monitor's, those are enough.
time_point stall_monitor::next_look(time_point now, time_point last_find) const noexcept {
    if (!anybody_stuck()) {
        return time_point::max();
    }
    time_point const since = std::max(last_find, time_point(duration(newest_stall_.load(mo_relaxed))));
    duration const pause = (now - since) / 8;
    return pause < idle_period ? now + std::max(pause, std::min(soonest_look, threshold_)) : time_point::max();
}

stall_monitor::totals stall_monitor::look() const noexcept {
    return {.stalls = stalls_.load(mo_relaxed), .longest = duration(longest_.load(mo_relaxed))};
}

void stall_monitor::watch() {
    ask_for_short_slice();
    (void)can_kick();  // registers the process: with several threads that takes 10 ms, which no rescue should wait for
    duration const period = std::min(threshold_, longest_period);
    time_point last_sign = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!stop_) {
        lock.unlock();
        time_point const now = std::chrono::steady_clock::now();
        try {
            if (look_at_all(now)) {
                last_sign = now;
            }
        } catch (std::bad_alloc const&) {
            // no memory to tell of a stall: the next look tries again
        }
        trim_if_due(now);
        lock.lock();
        // Ever more rarely while nothing happens: by a part of the time for which nothing has.
        duration pause = (now - last_sign) / 2;
        if (anybody_stuck()) {
            pause = (now - last_sign) / 8;  // as who watches over it: next_look()
        } else if (now - last_sign >= drowsy_after) {
            sleep_until_needed(lock);
            pause = {};
            last_sign = std::chrono::steady_clock::now();
        }
        wake_.wait_for(lock, std::clamp(pause, period, idle_period), [this] { return stop_; });
    }
}

void stall_monitor::sleep_until_needed(std::unique_lock<std::mutex>& lock) {
    woken_ = false;
    asleep_.store(true, mo_relaxed);
    full_fence();  // pairs with the one in woke_up()
    if (shared_.idle.parked() == shared_.size()) {
        auto const needed = [this] { return stop_ || woken_; };
        time_point const due = trimmer_.due(std::chrono::steady_clock::now(), frame_cache::look());
        if (due == time_point::max()) {
            frame_cache::end_trimming();  // meanwhile others may fill the depot
            wake_.wait(lock, needed);
            frame_cache::begin_trimming();
        } else {
            wake_.wait_until(lock, due, needed);
        }
    }
    asleep_.store(false, mo_relaxed);
}

void stall_monitor::trim_if_due(time_point now) noexcept {
    auto const seen = frame_cache::look();
    if (trimmer_.due(now, seen) <= now && shared_.idle.parked() == shared_.size()) {
        if (trim_.start(shared_, frame_trim::how::everything)) {
            trimmer_.trimmed(now, seen);
        } else {
            trimmer_.put_off(now);
        }
    } else if (trimmer_.unused_due(now, seen)) {
        (void)trim_.start(shared_, frame_trim::how::unused);
    }
}

// True if some worker that is not stuck is awake, or has run something since the last look, or nobody watches.
bool stall_monitor::look_at_all(time_point now) {
    bool sign_of_life = false;
    bool all_stuck = true;
    bool stranded = false;
    bool ready = !shared_.injected.empty();
    for (unsigned i = 0; i < shared_.size_with_spare(); ++i) {
        sign_of_life = look_at(i, now) || sign_of_life;
        worker const& each = shared_.at(i);
        all_stuck = all_stuck && (i == shared_.size() || (records_[i].stuck && now - records_[i].since >= lend_after));
        // A task that gave way, or that was sent here, was queued without waking anybody.
        bool const stealable = each.has_stealable();
        stranded = stranded || (records_[i].stuck && (each.is_stranded() || (stealable && shared_.settings().steal)));
        ready = ready || stealable;
    }
    if (stranded) {
        shared_.wake_one();
    }
    kick_if_held_back();
    if (!all_stuck) {
        shared_.stop_lending();
    } else if (stranded || ready) {
        shared_.lend();
    }
    worker const* const spare = shared_.spare();
    unsigned const parked = shared_.idle.parked();
    return sign_of_life || parked == 0 || parked + stuck() < shared_.size() || (spare != nullptr && spare->pulse().in_task);
}

// An operation that a rescuer submitted for somebody else completes in the rescuer's thread, which may be stuck by now,
// and the ring that says so is one whose owner is not.
void stall_monitor::kick_if_held_back() noexcept {
    if (!anybody_stuck()) {
        return;
    }
    for (unsigned i = 0; i < shared_.size_with_spare(); ++i) {
        if (shared_.at(i).holds_back()) {
            if (kick()) {
                shared_.at(i).note_kick();
            }
            return;
        }
    }
}

// True if it has run something since the last look.
bool stall_monitor::look_at(unsigned index, time_point now) {
    worker::heartbeat const seen = shared_.at(index).pulse();
    record& r = records_[index];
    bool const moved = seen.beat != r.beat;
    if (!seen.in_task || moved) {
        if (r.stuck) {
            end_stall(index, r, now);
        }
        r.beat = seen.beat;
        r.since = now;
        return moved;
    }
    duration const held = now - r.since;
    if (!r.stuck && held >= threshold_) {
        begin_stall(index, r);
    } else if (r.stuck && !r.told && held >= told_while_it_lasts) {
        r.told = true;
        tell(r, held);
    }
    return false;
}

void stall_monitor::begin_stall(unsigned index, record& r) {
    r.stuck = true;
    r.told = false;
    r.task = shared_.find_task(shared_.at(index).turn_of());
    stalls_.store(stalls_.load(mo_relaxed) + 1, mo_relaxed);
    newest_stall_.store((r.since + threshold_).time_since_epoch().count(), mo_relaxed);
    stuck_.fetch_add(1, mo_relaxed);
    shared_.at(index).mark_stuck(r.beat);
    shared_.wake_one();  // it watches, until the stall is over
}

void stall_monitor::end_stall(unsigned index, record& r, time_point now) {
    shared_.at(index).mark_stuck(worker::not_stuck);
    stuck_.fetch_sub(1, mo_relaxed);
    duration const held = now - r.since;
    longest_.store(std::max<std::int64_t>(longest_.load(mo_relaxed), held.count()), mo_relaxed);
    r.stuck = false;
    if (!r.told) {
        tell(r, held);
    }
}

void stall_monitor::tell(record const& r, duration held) const {
    hook const& to = shared_.settings().hooks.on_stall;
    if (!to && held < worth_a_line) {
        return;
    }
    std::string const context =
        fmt::format("a task {} its worker for {} ms without suspending", r.stuck ? "has held" : "held",
                    std::chrono::duration_cast<std::chrono::milliseconds>(held).count());
    event_info info;
    info.id = r.task.id;
    info.name = r.task.name;
    info.where = r.task.where;
    info.context = context;
    info.age = held;
    detail::tell(to, info);
}

}  // namespace magpie::detail
