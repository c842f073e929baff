#pragma once

// The doors from public templates to the scheduler. Defined in runtime/scheduler/: out of line on purpose, so that no
// compiler can keep a thread's address in a register across a suspension.

#include <magpie/runtime/detail/task_context.hpp>

namespace magpie::detail {

class worker;
struct cancel_delivery;

// The worker that this thread is, or null on a foreign thread. May differ after every co_await.
worker* current_worker() noexcept;
// As that, for who pins tasks to it: another worker if this is the spare one. On a worker only.
worker* current_home() noexcept;
// The task that is running on this thread, or null.
task_context* current_context() noexcept;

// True if another worker of this runtime runs this task now: a hint, for who waits for it. The pointer is only
// compared. On a worker only.
bool runs_elsewhere(void const* task) noexcept;

// Queues an item, on the current worker if it may run there, else where it may. Any thread. Never runs anything.
void schedule(work_item& item) noexcept;
// As schedule(), to the back of the current worker's queue, without waking anybody for it. On a worker only.
void schedule_yield(work_item& item) noexcept;

// The waits that this thread is asking to end, each because of the one outside of it: the innermost (task_context.cpp).
cancel_delivery* innermost_delivery() noexcept;
void set_innermost_delivery(cancel_delivery* innermost) noexcept;

// Throws task_cancelled after taking the request that ended the wait.
[[noreturn]] void deliver_cancellation(task_context& context);
// For a wait that was refused because a request is pending, and for checkpoint(): throws if a request is due.
void deliver_if_due(task_context& context);

// True once per `budget` calls: a chain of awaits that are always ready must go through the queue now.
bool budget_exhausted() noexcept;

} // namespace magpie::detail
