#pragma once

// Fork and join: how a task runs several children and goes on when all of them have ended.
//
// A fork_join is the awaiter of gather and of its kin; it lies in the awaiting frame, and so do (or, for ranges, in a
// block that it owns) the children's records. The parent is resumed by whoever ends the last child.
//
// A join is cheap while nothing is stolen and nothing suspends. Until then it is *open*: it lies on the worker's stack
// of open joins, one child after the other runs inline by symmetric transfer, and only the owner counts, in a plain
// integer. The owner closes it when a child suspended (its turn ended), when the next child is gone (stolen), or when
// somebody looks at the task's cancellation state; from then on every child counts down atomically.
//
//   open    children: one running inline, the rest private to the owner or stolen
//           ended_here_   plain; the owner only
//           pending_      total + 1; each child that ends elsewhere subtracts 1 (acq_rel)
//   closed  the parent's context points here (a request reaches the children), and
//           the owner subtracted ended_here_ + 1 from pending_ (acq_rel: the last one to subtract sees all results)
//   ended   all children ended: inline, the parent goes on at once and no atomic was touched; else the one that brought
//           pending_ to 0 completes the waiter.
//
// The + 1 keeps the join alive until the owner has closed it. After subtracting without reaching 0 nobody may touch the
// join again.
//
// A part of a longer row of children (fork_parts.hpp) is a join too. It differs when it is closed, since not it but the
// whole is published, and has been, and when it has ended: then the whole is told.

#include <magpie/runtime/detail/task_context.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <utility>

namespace magpie::detail {

class fork_join : public waiter {
public:
    // A child's record: its context, and the join it belongs to.
    class child : public task_context {
    public:
        explicit child(finish_fn on_finish) noexcept : task_context(on_finish) {}
        fork_join* join = nullptr;
    };

    // Starts the children, which are linked by `next`, the last one first, in argument order, and returns what the worker
    // resumes now. `parent` is suspended. What links the children is gone afterwards.
    // With a request pending none of them starts: was_cancelled() and the parent goes on; but if some are to begin in any
    // case (promise.hpp), all are launched with a request of their own. Throws std::bad_alloc, and then no child has
    // started either.
    std::coroutine_handle<> launch(std::coroutine_handle<> parent, task_context& parent_context, child& last,
                                   std::size_t count);
    // The same for a list, in argument order; not empty.
    std::coroutine_handle<> launch(std::coroutine_handle<> parent, task_context& parent_context,
                                   std::span<child* const> children) {
        child* last = nullptr;
        for (child* each : children) {
            each->next = std::exchange(last, each);
        }
        return launch(parent, parent_context, *last, children.size());
    }

    // A child has ended and its result is stored: the worker resumes what this returns.
    std::coroutine_handle<> arrive(child& ended) noexcept;

    // Ends the open phase. Owner worker only. True: all children had ended, and the caller resumes or queues the parent.
    bool close(worker& owner) noexcept;

    bool try_cancel() noexcept final;
    std::string describe() const override { return "its children"; }

    // The owner's question about an open join: is it not worth exposing, as long as no more than its own forks are there?
    bool holds_back(std::size_t forks) const noexcept {
        return held_ && forks <= pending_.load(mo_relaxed) - ended_here_;
    }

    fork_join* outer = nullptr;  // the worker's next open join

protected:
    fork_join() = default;
    ~fork_join() = default;

    // Asks every child that has not ended to end. Called by one thread at a time per request, while the join is not
    // ended. Returns true if at least one of them took the request.
    virtual bool cancel_children() noexcept = 0;

    // A request reached the join while it waited, and a child took it: the wait ends by cancellation unless by an error.
    bool request_accepted() const noexcept { return accepted_.load(mo_acquire); }

    // Before a child is started: it is one of this join's.
    void adopt_one(child& each, task_context& parent, worker& here) noexcept {
        adopt_unpinned(each, parent, here);
        each.pinned = parent.pinned;
    }
    void adopt_unpinned(child& each, task_context& parent, worker& here) noexcept {
        each.parent = &parent;
        each.home = &here;
        each.join = this;
    }

private:
    friend class fork_parts;

    void count_on(std::size_t children) noexcept {
        total_ = static_cast<std::uint32_t>(children);
        pending_.store(total_ + 1, mo_relaxed);
    }
    std::coroutine_handle<> launch_on(std::coroutine_handle<> parent, task_context& parent_context, child& last,
                                      std::size_t count, worker& here);
    std::coroutine_handle<> arrive_on(worker& here) noexcept;
    void adopt(worker& here, task_context& parent_context, std::span<child* const> children) noexcept;
    std::coroutine_handle<> run_inline(worker& here, child& last, std::size_t count) noexcept;

    // The rarer ways; noinline, so that the usual ones stay short.
    [[gnu::noinline]] std::coroutine_handle<> launch_slowly(worker& here, child& last, std::size_t count);
    [[gnu::noinline]] std::coroutine_handle<> run_first_slowly(worker& here, child& first, bool share) noexcept;
    std::coroutine_handle<> launch_queued(worker& here, std::span<child* const> children) noexcept;
    std::coroutine_handle<> launch_cancelled(worker& here, std::span<child* const> children) noexcept;
    [[gnu::noinline]] std::coroutine_handle<> arrive_closed(worker& here) noexcept;
    [[gnu::noinline]] std::coroutine_handle<> arrive_charged(worker& here) noexcept;
    [[gnu::noinline]] std::coroutine_handle<> arrive_last_slowly(worker& here) noexcept;
    [[gnu::noinline]] std::coroutine_handle<> go_on_slowly(worker& here) noexcept;
    [[gnu::noinline]] std::coroutine_handle<> close_and_go_on(worker& here) noexcept;
    std::coroutine_handle<> resume_parent(worker& here) noexcept;
    // The last child has ended after the join was closed. True: the parent goes on, by the caller's hand.
    bool all_ended() noexcept;
    [[gnu::noinline]] std::coroutine_handle<> resume_parent_slowly(worker& here) noexcept;

    std::uint32_t total_ = 0;        // of a part (fork_parts.hpp): how many until it looks around
    std::uint32_t ended_here_ = 0;
    atomic<std::uint32_t> pending_{0};
    atomic<bool> accepted_{false};
    bool is_part_ = false;  // a fork_parts::part
    bool goes_on_here_ = false;  // no part; and when the last child has ended inline, so does the parent
    bool held_ = false;     // see holds_back()
};

} // namespace magpie::detail
