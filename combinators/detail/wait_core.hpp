#pragma once

// Waiting for several spawned tasks at once, without owning any of them.
//
// Three parties may end the wait: a task that ends, the timer, a canceller. done_, under the lock, says that one of them
// has; it alone then resumes the awaiter. Parties that come later find done_ set and touch nothing more. They may still
// be inside when the awaiter runs again, so it first takes its watchers off all tasks (unwatch() returns only when the
// task's end is not being told) and waits for the timer (timer_over_, the very last touch of expired()).
//
//   watching  watchers are linked; waiting_ is false until the task is about to suspend. What ends earlier only sets
//             done_, and the awaiter does not suspend.
//   waiting   waiting_ is true: who sets done_ wakes the awaiter, after unlocking.
//   over      nothing is linked or armed.

#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace magpie {

// When wait() is over.
enum class wait_until : std::uint8_t {
    all_completed,    // every task has ended
    first_completed,  // one has
    first_exception,  // one has failed (a cancelled one has not), or all have ended
};
inline constexpr wait_until all_completed = wait_until::all_completed;
inline constexpr wait_until first_completed = wait_until::first_completed;
inline constexpr wait_until first_exception = wait_until::first_exception;

namespace detail {

class wait_core : public waiter, public timer {
public:
    // True: nothing has to be waited for. Throws std::invalid_argument if there are no tasks.
    bool await_ready();
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return begin();
    }

protected:
    wait_core(wait_until until, std::optional<duration> timeout) noexcept : until_(until), timeout_(timeout) {}
    ~wait_core() { end(); }

    // Before the wait. One that is there already counts once. False if so.
    void set_tasks(std::vector<spawned_base*> const& tasks);
    // Input indices of the tasks that are different from those before them.
    std::vector<std::size_t> const& distinct() const noexcept { return distinct_; }

    // After the wait: unlinks everything and delivers a cancellation. True if the condition does not hold: the time is up.
    bool finish();

private:
    class task_watcher final : public watcher {
    public:
        task_watcher(wait_core& core, spawned_base& task) noexcept : core_(core), task_(task) {}
        spawned_base& task() const noexcept { return task_; }

    private:
        void task_ended(spawned_base& task) noexcept override { core_.one_ended(task); }
        wait_core& core_;
        spawned_base& task_;
    };

    bool only_polls() const noexcept { return timeout_ && *timeout_ <= duration::zero(); }
    bool satisfied() noexcept;
    bool begin();
    void end() noexcept;
    void one_ended(spawned_base& task) noexcept;
    bool try_cancel() noexcept override;
    void expired() noexcept override;
    std::string describe() const override { return "several tasks"; }

    wait_until until_;
    std::optional<duration> timeout_;
    std::vector<std::size_t> distinct_;
    fixed_block<task_watcher> watchers_;
    bool linked_ = false;
    bool timer_used_ = false;
    atomic<bool> timer_over_{false};

    spin_lock lock_;
    std::size_t ended_ = 0;
    bool done_ = false;
    bool waiting_ = false;
};

}  // namespace detail
}  // namespace magpie
