#pragma once

#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/task.hpp>

#include <cstdint>
#include <exception>
#include <source_location>
#include <string_view>

namespace magpie {

// How spawn() starts a task. All members are optional.
struct spawn_options {
    std::string_view name = {};  // for people; copied
    bool pinned = false;         // the task, and its combinators' children, never leave the worker where they begin
    bool eager = false;          // it runs inside spawn(), up to its first suspension, if the caller is on a worker
    std::source_location where = std::source_location::current();  // shown wherever the task is named
};

namespace detail {

class scheduler;

// The runtime that this thread's worker belongs to, or null.
scheduler* current_scheduler() noexcept;
// As above; throws usage_error on a foreign thread.
scheduler& required_scheduler(char const* what);

// Queues a new task in `where`; the runtime holds one reference from then on. Throws usage_error if the runtime is
// shutting down; the record is destroyed then, its frame un-started. `home`: the worker where the task begins, and stays
// if it is pinned; the current one, or any, unless given.
void start(scheduler& where, spawned_base& task, spawn_options const& options, worker* home = nullptr);

// A detached task of the library's own, which a shutdown does not refuse.
void spawn_internal(scheduler& where, task<> body);

// To the hook of the task's own runtime; one line on stderr if that is gone.
void report_of_task(spawned_base& task, std::exception_ptr error, std::string_view what,
                    std::shared_ptr<hooks const> told = nullptr) noexcept;
// To the current runtime's hook; one line on stderr on a foreign thread.
void report_unhandled(task_context* task, std::exception_ptr error, std::string_view what) noexcept;
void report_suppressed(std::exception_ptr error, std::string_view what) noexcept;

template <class T>
spawned<T>& start_task(scheduler& where, task<T>&& body, spawn_options const& options, task_owner* owner = nullptr) {
    auto* const record = new spawned<T>(std::move(body));
    record->owner = owner;
    record->make_first_handle();
    start(where, *record, options);
    return *record;
}

} // namespace detail
} // namespace magpie
