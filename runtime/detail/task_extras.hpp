#pragma once

// What few tasks need, made on first use, so that forking a child costs nothing for it.

#include <magpie/runtime/detail/task_context.hpp>

#include <cstdint>
#include <string>

namespace magpie::detail {

// An open task group of a running task, innermost first. Only the task itself links and unlinks it.
class open_scope {
public:
    open_scope() = default;
    open_scope(open_scope const&) = delete;
    open_scope& operator=(open_scope const&) = delete;

    // A request from outside is being delivered to the task: cancel the scope's children now, once.
    virtual void owner_cancelled() noexcept = 0;

    open_scope* outer = nullptr;

protected:
    ~open_scope() = default;
};

struct task_extras {
    task_extras() = default;
    task_extras(task_extras const&) = delete;
    task_extras& operator=(task_extras const&) = delete;

    std::uint64_t id = 0;
    open_scope* scopes = nullptr;
};

// The task's extras; made now if it has none. Called by the task itself, or before its first step is queued.
task_extras& extras_of(task_context& context);

// The task's id, given on first use. The task itself, or for a spawned task any thread that keeps the record alive.
std::uint64_t id_of(task_context& context);
// Its name: the one it was given, or "task 12".
std::string name_of(task_context& context);

} // namespace magpie::detail
