#pragma once

#include <magpie/runtime/clock.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <source_location>
#include <string_view>

namespace magpie {

// Names a task within the process; never reused. 0 means "no task".
using task_id = std::uint64_t;

// What a hook is told. The views and the reference are valid until the hook returns: copy what must live longer.
struct event_info {
    std::exception_ptr error{};  // what was thrown; null for on_stall
    task_id id = 0;              // the task it happened in; 0 if in none
    std::string_view name{};     // that task's name; empty if it has none
    std::string_view context{};  // what the runtime was doing, in a few words: "task ended with an error nobody awaits"
    std::source_location where{};  // where that task was spawned; line() == 0 if unknown
    duration age{};                // since the task was spawned; for on_stall: how long it has kept its worker, to within 10 ms
};

using hook = std::function<void(event_info const&)>;

// What the runtime calls when something happens that no awaiting code can be told. An empty hook means the default:
// one line on stderr.
// Hooks run on any worker, or on a thread of the runtime, several at once, never under a lock of the runtime; they must not block for long. What a
// hook throws is printed to stderr and dropped. They are copied into the runtime when it is made.
struct hooks {
    hook on_unhandled{};   // an error that nobody looked at: of a detached task, of an on_done callback, of a leftover
    hook on_suppressed{};  // an error that lost against an earlier one: the second failure in a gather
    hook on_stall{};       // a task kept its worker longer than config.stall_threshold; default: told from 100 ms on
};

}  // namespace magpie
