#pragma once

// The children of a select(), and how the first one to end is found.
//
//   winner_   the index of the first child that ended by itself: set once, by that child, before it asks the others to
//             end. A child that ends later is a loser, whatever it ended with.
//   asked_    requests were, or are about to be, sent to the children: one that ends cancelled did so for us, and does
//             not win. Set before the first request goes out.
//
// A request to the awaiting task is passed on to the children unless there is a winner, which has asked them already. A
// child that then ends with a value in spite of it has won: the value is given, and the task's request stays pending.

#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace magpie::detail {

class select_join : public fork_join {
public:
    // A child has ended and its result is stored. Any worker, before the child arrives.
    void ended(int index, bool cancelled) noexcept;

protected:
    select_join() noexcept = default;
    ~select_join() = default;

    // Requests the cancellation of every child that has not ended. True if one took it.
    virtual bool request_all() noexcept = 0;

    // After the join: who won. Throws task_cancelled if nobody did: the awaiting task was asked to end.
    int winner();

private:
    bool cancel_children() noexcept final;

    atomic<int> winner_{-1};
    atomic<bool> asked_{false};
};

// A child's record. Owns the frame until it has run.
template <class T>
class select_child final : public fork_join::child {
public:
    explicit select_child(task<T>&& body) noexcept : child(&select_child::finished) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from, or given twice
        frame.promise().run_as(*this);
        handle = frame;
    }
    ~select_child() {
        if (handle) {  // it was never started
            handle.destroy();
        }
    }

    // True if it did not end by itself: it threw task_cancelled, or never ran.
    bool cancelled() noexcept { return result.has_error() ? is_cancellation(result.error()) : !result.has_value(); }
    // What it threw, null if it gave a value. Cancelled by somebody else is an error like any other.
    std::exception_ptr take_error() {
        if (result.has_value()) {
            return nullptr;
        }
        return cancelled() ? child_cancelled_ptr() : std::move(result.error());
    }

    int index = 0;
    result_slot<T> result;

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<select_child&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        if (kind == finish_kind::ran) {
            try {
                self.result.take(frame.promise().result());
            } catch (...) {  // the value's move constructor threw: that is how the child ended
                self.result.set_error(std::current_exception());
            }
        }
        frame.destroy();
        self.handle = nullptr;
        // Only a request of the join's keeps a child from running, and it need not see yet that there was one.
        if (kind == finish_kind::ran) {
            static_cast<select_join&>(*self.join).ended(self.index, self.cancelled());
        }
        return self.join->arrive(self);
    }
};

}  // namespace magpie::detail
