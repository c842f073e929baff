#pragma once

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/hooks.hpp>
#include <magpie/runtime/sleep.hpp>

#include <coroutine>
#include <string>

namespace magpie {

// A view of a task's cancellation: true as long as a request has been made and not taken back. Copyable; valid while
// the task lives; may be read from any thread, in particular by a function that to_thread() runs for the task.
class stop_token {
public:
    stop_token() noexcept = default;
    explicit stop_token(detail::task_context& task) noexcept : task_(&task) {}
    bool stop_requested() const noexcept;
    bool stop_possible() const noexcept { return task_ != nullptr; }

private:
    detail::task_context* task_ = nullptr;
};

namespace detail {

class checkpoint_awaiter {
public:
    checkpoint_awaiter() noexcept {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const;
};

} // namespace detail

// What the running task can ask and do about itself. All of it throws usage_error outside a task.
namespace this_task {

task_id id();
// The name given to spawn(), or one made from the id.
std::string name();
// Index of the worker that runs this now, below rt.workers(). May differ after every co_await, as may errno and
// thread_locals. 0 also on the spare worker, which is lent while all others are stuck in tasks: what a program keeps by
// worker, without atomics or locks, wants config.spare_worker = false.
unsigned worker();

// `co_await checkpoint()` throws task_cancelled if a request is pending; it never suspends. For long computations.
inline detail::checkpoint_awaiter checkpoint() noexcept {
    return {};
}

// Requests the task's own cancellation: delivered at its next suspension, unless it ends before.
void cancel();
// Requests to cancel this task that were not taken back with uncancel().
unsigned cancelling();
// Takes one back; returns how many are left. At zero an undelivered one is withdrawn.
unsigned uncancel();
magpie::stop_token stop_token();

} // namespace this_task
} // namespace magpie
