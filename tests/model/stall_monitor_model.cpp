// Who looks after stuck workers, and when: the stall monitor's sleep against a worker that wakes up, and the spare worker's
// rest against its being lent. Both live among threads, files and condition variables, so the code here is a copy of their
// protocols, word for word, but for when the monitor wants to sleep; the set of idle workers is the library's own. Mirrored:
//
//   stall_monitor::woke_up(), sleep_until_needed(), watch()          runtime/scheduler/stall_monitor.cpp
//   worker::set_lent(), run_as_spare(); scheduler::lend()            runtime/scheduler/scheduler_spare.cpp
//   worker::sleep(), as far as it concerns these                     runtime/scheduler/worker_idle.cpp
//   wakeup::notify(), prepare_sleep(), end_sleep()                   io/loop/wakeup.hpp, whose own model is uring_loop_model.cpp

#include "model.hpp"
#include "support/monitor.hpp"

#include <magpie/runtime/scheduler/idle_set.hpp>
#include <magpie/runtime/scheduler/inject_queue.hpp>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

// An event loop that does nothing but sleep, and be woken.
class little_loop {
public:
    void unpark() {
        model::monitor::section in(lock_);
        notified_ = true;
        in.tell();
    }
    void park() {
        model::monitor::section in(lock_);
        in.wait_until([&] { return notified_; });
        notified_ = false;
    }

private:
    model::monitor lock_;
    bool notified_ = false;
};

enum class rules {
    kept,
    no_fence_of_the_worker,
    no_fence_of_the_monitor,
    no_second_look,  // the monitor does not count the parked again
};

// The monitor falls asleep because nobody is awake, and a worker begins a task that gets stuck.
template <rules Rules>
struct asleep_against_awake : rl::test_suite<asleep_against_awake<Rules>, 3> {
    static constexpr char const* name = Rules == rules::kept ? "stall_monitor: falls asleep, a worker wakes up"
                                        : Rules == rules::no_fence_of_the_worker
                                            ? "stall_monitor: the worker does not fence"
                                        : Rules == rules::no_fence_of_the_monitor ? "stall_monitor: it does not fence"
                                                                                  : "stall_monitor: it does not look again";

    void before() {
        idle.park(1, false);
        idle.park(0, false);  // last, so that it is the one that is woken
    }
    void thread(unsigned index) {
        if (index == 0) {
            sleep_until_needed();
            MAGPIE_ASSERT(idle.parked() != 2);  // once somebody is in a task, it looks
        } else if (index == 1) {
            loop.park();
            searching = !idle.unpark_self(0);
            woke_up();
        } else if (idle.worker_to_wake()) {  // scheduler::wake_one()
            loop.unpark();
        }
    }

    void woke_up() {
        if constexpr (Rules != rules::no_fence_of_the_worker) {
            full_fence();
        }
        if (!asleep_.load(mo_relaxed)) {
            return;
        }
        model::monitor::section in(mutex_);
        woken_ = true;
        in.tell();
    }
    void sleep_until_needed() {
        model::monitor::section lock(mutex_);
        woken_ = false;
        asleep_.store(true, mo_relaxed);
        if constexpr (Rules != rules::no_fence_of_the_monitor) {
            full_fence();
        }
        if (Rules == rules::no_second_look || idle.parked() == 2) {
            lock.wait_until([&] { return woken_; });
        }
        asleep_.store(false, mo_relaxed);
    }

    idle_set idle{2};
    little_loop loop;
    bool searching = false;
    atomic<bool> asleep_{false};
    model::monitor mutex_;
    bool woken_ = false;
};

struct item {
    guarded<item*> next;
};

enum class lending {
    kept,
    not_unparked,  // set_lent() only sets
};

// All workers are stuck. Two tasks come, one after the other; the monitor looks every now and then, as long as one waits.
template <lending Rules>
struct spare : rl::test_suite<spare<Rules>, 3> {
    static constexpr char const* name =
        Rules == lending::kept ? "spare worker: lent while it goes to rest" : "spare worker: lent, and not woken";

    void thread(unsigned index) {
        if (index == 0) {
            run_as_spare();
        } else if (index == 1) {
            (void)injected.push(&items[0]);
            (void)injected.push(&items[1]);
        } else {
            for (unsigned looks = 0; ran.load(mo_acquire) != 2; ++looks) {  // look_at_all()
                if (!injected.empty()) {
                    set_lent(true);
                } else if (looks % 2 == 1) {
                    set_lent(false);  // stop_lending()
                }
                yield_thread();
            }
            stop.store(true, mo_release);
            loop.unpark();
        }
    }
    void after() { MAGPIE_ASSERT(injected.empty()); }

    void set_lent(bool lent) {
        if (lent_.exchange(lent, mo_acq_rel) != lent && lent && Rules != lending::not_unparked) {
            loop.unpark();
        }
    }
    void run_as_spare() {
        while (!stop.load(mo_acquire)) {
            if (lent_.load(mo_acquire)) {
                if (injected.pop() != nullptr) {  // take_as_spare()
                    ran.store(ran.load(mo_relaxed) + 1, mo_release);
                    continue;
                }
                lent_.store(false, mo_release);
            }
            look_around_and_hand_over();
            if (!lent_.load(mo_acquire) && !stop.load(mo_acquire)) {
                loop.park();
            }
        }
    }
    // Takes injected tasks in, and since it rests, puts them back: nobody may be there to take them but itself.
    void look_around_and_hand_over() {
        if (item* const taken = injected.pop()) {
            (void)injected.push(taken);
        }
    }

    inject_queue<item> injected;
    item items[2];
    little_loop loop;
    atomic<bool> lent_{false};
    atomic<bool> stop{false};
    atomic<unsigned> ran{0};
};

}  // namespace

int main() {
    constexpr rl::iteration_t iterations = 5'000;
    bool const can_fail = model::is_found<asleep_against_awake<rules::no_fence_of_the_worker>>(iterations) &&
                          model::is_found<asleep_against_awake<rules::no_fence_of_the_monitor>>(iterations) &&
                          model::is_found<asleep_against_awake<rules::no_second_look>>(iterations) &&
                          model::is_found<spare<lending::not_unparked>>(iterations);
    char const* const finder = model::first_to_find<asleep_against_awake<rules::kept>, spare<lending::kept>>(iterations);
    if (finder != nullptr) {
        std::string_view const text = model::last_report().text();
        std::printf("%s: FAILED\n%.*s\n", finder, static_cast<int>(text.size()), text.data());
    }
    return can_fail && finder == nullptr ? 0 : 1;
}
