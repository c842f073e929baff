#pragma once

// A storm of tasks that are always ready, and how many of their turns something else has to wait for. Everything is
// counted on one worker: the others, if there are any, are stuck in a task each and take part in nothing.

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <algorithm>
#include <atomic>
#include <latch>
#include <utility>
#include <vector>

#include <runtime/support/kit.hpp>

namespace magpie::tests {

inline constexpr unsigned interval = 61;  // config.event_interval

// Atomic because other threads look at them, and because a rescue may move a task.
struct watch {
    std::atomic<unsigned> resumed{0};  // resumptions of the storm
    std::atomic<unsigned> served{0};   // how many there had been when the other was served
    std::atomic<bool> over{false};
    runtime* rt = nullptr;
};

inline task<> storms(watch& w) {
    while (!w.over) {
        ++w.resumed;
        co_await this_task::yield();
    }
}

// All workers but the one that goes on: each is held by a task that blocks its thread. To be used by one task.
class stuck_workers {
public:
    explicit stuck_workers(unsigned count) : count_(count), workers_(count) {}

    // `strands` is called on each of them before it is stuck, and may leave things behind there. Not before all are held:
    // who is still free would take over from the first, and then be held himself, with that in his run queue. So this task
    // does not give way either.
    template <class Strands>
    task<> block(Strands strands) {
        for (unsigned i = 0; i < count_; ++i) {
            held_.push_back(spawn(holds(std::ref(strands))));
        }
        until([&] { return next_ == count_; });
        all_held_ = true;
        until([&] { return blocked_ == count_; });
        co_return;
    }
    // True once the monitor has marked them all.
    bool marked() const {
        return std::ranges::all_of(workers_, [](detail::worker* each) { return each->is_stuck(); }) &&
               (count_ == 0 || workers_[0]->shared().monitor()->stuck() >= count_);
    }
    task<> release() {
        gate_.count_down();
        for (auto& each : held_) {
            co_await std::move(each);
        }
    }

private:
    template <class Strands>
    task<> holds(std::reference_wrapper<Strands> strands) {
        workers_[next_++] = detail::current_worker();
        until([&] { return all_held_.load(); });
        strands.get()();
        ++blocked_;
        gate_.wait();
        co_return;
    }

    unsigned count_;
    std::vector<detail::worker*> workers_;
    std::atomic<unsigned> next_{0};
    std::atomic<bool> all_held_{false};
    std::atomic<unsigned> blocked_{0};
    std::latch gate_{1};
    std::vector<join_handle<void>> held_;
};

// The storm's tasks, and then `other`, which says in `served` how long it had to wait.
template <class Other>
unsigned waited(config c, unsigned tasks, Other other) {
    c.spare_worker = false;
    watch w;
    runtime rt(c);
    w.rt = &rt;
    auto const body = [&]() -> task<> {
        stuck_workers stuck(rt.workers() - 1);
        co_await stuck.block([] {});
        while (c.rescue && !stuck.marked()) {
            co_await this_task::yield();
        }
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < tasks; ++i) {
            all.push_back(spawn(storms(w)));
        }
        co_await spawn(other(w));
        w.over = true;
        for (auto& each : all) {
            co_await std::move(each);
        }
        co_await stuck.release();
    };
    rt.block_on(body());
    return w.served;
}

// Calls the body with the configurations in which one worker does all the work.
template <class Body>
void on_one_worker(config c, Body body) {
    for (unsigned const workers : {1U, 2U, 8U}) {
        for (bool const rescue : {false, true}) {
            CAPTURE(workers);
            CAPTURE(rescue);
            c.workers = workers;
            c.rescue = rescue;
            body(std::as_const(c));
        }
    }
}

}  // namespace magpie::tests
