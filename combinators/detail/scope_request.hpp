#pragma once

#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/task_extras.hpp>

namespace magpie::detail {

// The books of a scope (a timeout, a task group) that may request the cancellation of its own task, to cut off what runs
// inside it. On leaving, exactly that request is taken back, and the scope learns whether others asked too. The task's
// word only has a count and one pending flag, so this is by comparison with the time of entry. The task itself only.
class scope_request {
public:
    explicit scope_request(task_context& task) noexcept
        : task_(task),
          pending_at_entry_(task.request_pending()),
          // A request that is still to be delivered will be delivered inside the scope, so it counts as one that came
          // after the entry.
          baseline_(task.cancel_count() - (pending_at_entry_ && task.cancel_count() != 0 ? 1U : 0U)) {}
    scope_request(scope_request const&) = delete;
    scope_request& operator=(scope_request const&) = delete;

    task_context& task() const noexcept { return task_; }
    // Somebody else asked for the cancellation since the entry. `asked`: the scope itself did, and has not taken it back.
    // Any thread.
    bool others_asked(bool asked) const noexcept { return task_.cancel_count() > baseline_ + (asked ? 1U : 0U); }

    // Takes the scope's request back, once, after it was made. True if nobody else asked.
    bool take_back() noexcept;

private:
    task_context& task_;
    bool pending_at_entry_;
    unsigned baseline_;
};

// Takes a scope off the list of its task's open ones.
void leave_scope(task_context& task, open_scope& scope) noexcept;

}  // namespace magpie::detail
