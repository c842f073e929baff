#pragma once

// Finds workers that are stuck in one task, and sees to it that others do what those would have done.
//
// A worker is stuck if it has been in the same resumption for config.stall_threshold: each resumption moves its
// heartbeat on by one plain store, and that is all that a worker pays for being watched. One thread looks at all
// heartbeats. It takes over nothing itself: it marks the stuck worker, and wakes an idle one whenever something is
// stranded there. Workers that are awake look at the marks themselves, when they look around. If all are stuck it lends the
// spare one.
//
//   asleep     --a worker has left its sleep-->                 watching    that worker wakes the thread
//   watching   --nobody did anything for 50 ms-->               asleep      costs nothing until somebody does
//
// It also sees to it that the memory of a burst is given back (frame_trimmer.hpp): for that it sleeps until a deadline.
//
// Falling asleep and waking up is Dekker's pattern: the monitor sets asleep_, fences, and counts the parked workers
// once more; a worker is taken off the parked, fences, and reads asleep_. One of them sees the other.
//
// What is taken over, and how: worker_rescue.cpp. Who may touch what:
//   records_                   the monitor's thread
//   worker::stuck_since_       written by the monitor's thread, a hint to everybody else
//   totals_                    written by the monitor's thread, read by snapshot()
//
// The design follows Go's sysmon, a thread that retakes processors from stuck threads (runtime/proc.go).

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/scheduler/frame_trimmer.hpp>
#include <magpie/runtime/task_info.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace magpie::detail {

class scheduler;

class stall_monitor {
public:
    explicit stall_monitor(scheduler& of);
    stall_monitor(stall_monitor const&) = delete;
    stall_monitor& operator=(stall_monitor const&) = delete;
    ~stall_monitor() { stop(); }

    // Begins to watch. Throws std::system_error. Once, by the scheduler's constructor.
    void start();
    // Idempotent.
    void stop() noexcept;

    // --- Workers.

    // Somebody is stuck: a hint.
    bool anybody_stuck() const noexcept { return stuck() != 0; }
    unsigned stuck() const noexcept { return stuck_.load(mo_relaxed); }  // how many, also a hint
    // A worker is awake again.
    void woke_up() noexcept;
    // For a worker that is going to sleep: when it should look at those that are stuck, if it is the one that watches over
    // them: if try_watch() says so, until stop_watching(). time_point::max(): it need not.
    time_point next_look(time_point now, time_point last_find) const noexcept;
    bool try_watch() noexcept;
    void stop_watching() noexcept { watched_.store(false, mo_relaxed); }

    // --- Any thread.

    struct totals {
        std::uint64_t stalls = 0;
        duration longest{};
    };
    totals look() const noexcept;

private:
    struct record {
        std::uint64_t beat = 0;
        time_point since{};  // when this heartbeat was first seen
        bool stuck = false;
        bool told = false;
        task_info task{};  // id, name and spawn site only; empty if it is not known
    };

    void watch();
    void sleep_until_needed(std::unique_lock<std::mutex>& lock);
    void trim_if_due(time_point now) noexcept;
    bool look_at_all(time_point now);
    void kick_if_held_back() noexcept;
    bool look_at(unsigned index, time_point now);
    void begin_stall(unsigned index, record& r);
    void end_stall(unsigned index, record& r, time_point now);
    void tell(record const& r, duration held) const;

    scheduler& shared_;
    duration const threshold_;
    std::vector<record> records_;

    atomic<unsigned> stuck_{0};
    atomic<bool> watched_{false};            // an idle worker looks after those that are stuck
    atomic<std::int64_t> newest_stall_{0};  // when it was noticed, as a count of nanoseconds
    atomic<bool> asleep_{false};
    atomic<std::uint64_t> stalls_{0};
    atomic<std::int64_t> longest_{0};

    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    bool woken_ = false;
    std::thread thread_;

    frame_trimmer trimmer_;
    frame_trim trim_;
};

}  // namespace magpie::detail
