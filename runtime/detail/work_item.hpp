#pragma once

#include <coroutine>

namespace magpie::detail {

class task_context;

// One thing a worker can run next: a suspended coroutine and the task it belongs to. The node lies in the
// coroutine's own frame (a waiter) or in the task's record (its first step), so that queueing allocates nothing.
// It is in at most one queue at a time, and whoever takes it out of the queue owns it.
struct work_item {
    work_item* next = nullptr;        // the queue that holds the item
    std::coroutine_handle<> handle;   // what to resume
    task_context* context = nullptr;  // the task that runs while it is resumed; == this for a task's first step
};

} // namespace magpie::detail
