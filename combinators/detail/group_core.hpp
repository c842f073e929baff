#pragma once

// The part of a task group that its block, its children and its references share.
//
//   open      takes children. aborting_ and closed_ are false.
//   aborting  the children were, or are being, asked to end; spawning throws group_aborting. Once, for one of these
//             reasons: a child failed, the body ended by an error or a cancellation, the owner was cancelled, cancel().
//   closed    the owner has seen live_ at 0 and leaves the block; spawning throws usage_error. Final.
//
// Who counts in live_: a child from before it is queued until it has ended and its error was recorded, a granted
// spawn_bounded() until it has made its child, and an abort until it has asked everybody. The owner leaves when live_ is
// 0, so that all of them may use the core without a reference of their own, up to the unlocking after they counted down.
// (references_ is for group references, which may outlive the block.)
//
// An abort asks each child once. It goes through children_ from the front, moves each one it asks to the back, and stops
// when the first that was asked is in front (first_asked_; it moves on when that one ends). A child that is linked only
// after the abort began is asked by its spawner, and is put behind first_asked_ too.
//
// Requests to the owner come from an abort while the body runs (requested_). conclude() takes that one back, and only
// that one: see scope_request.hpp.

#include <magpie/combinators/detail/scope_request.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_extras.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace magpie::detail {

class group_core final : public task_owner, public open_scope {
public:
    // Opens a group of the task that runs now. `serial`: the children all run on the current worker.
    static group_core& open(bool cancel_rest, bool serial);
    void retain() noexcept { references_.fetch_add(1, mo_relaxed); }
    void release() noexcept;

    // --- Any thread, while the caller is part of the group or holds a reference.

    // Makes room for a child, which then counts. Throws usage_error or group_aborting.
    void reserve();
    // As reserve(), if fewer than `bound` live and nobody waits for that.
    bool try_reserve(std::size_t bound);
    // Gives the room back: there will be no child.
    void give_up() noexcept;
    // Turns the room into a child.
    template <class T>
    spawned<T>& start_reserved(task<T>&& body, spawn_options const& options);
    template <class T>
    spawned<T>& spawn(task<T>&& body, spawn_options const& options) {
        reserve();
        return start_reserved(std::move(body), options);
    }
    // Ends the group early: the children, and the body if it still runs, are cancelled; that is no error.
    void cancel() noexcept;
    std::size_t live() const noexcept;
    bool aborting() const noexcept;

    // --- The owner, in this order.

    // The body has ended, with this error or null.
    void body_over(std::exception_ptr const& error) noexcept;
    class join_awaiter;
    // `co_await join()` waits for everybody and closes the group. It throws nothing: a request to cancel the owner is passed on.
    join_awaiter join() noexcept;
    // Takes back what was requested and throws what the block has to throw.
    void conclude(std::exception_ptr body_error);
    // Gives up the owner's reference, after join().
    void close() noexcept;

    class slot_waiter;

private:
    struct failure {
        std::exception_ptr error;
        failure* next = nullptr;
    };

    group_core(task_context& owner, scheduler& where, bool cancel_rest, worker* home) noexcept;
    ~group_core() = default;

    void child_ended(spawned_base& child) noexcept override;
    void owner_cancelled() noexcept override {
        told_ = true;
        abort(false);
    }
    void owner_asked() noexcept;
    void adopt(spawned_base& child) noexcept;
    void unlink(spawned_base& child) noexcept;
    void record(std::exception_ptr error) noexcept;
    std::vector<std::exception_ptr> take_errors();
    void abort(bool interrupt_body) noexcept;
    void ask_children() noexcept;
    void refuse_if_over() const;
    // Under the lock: one that counted in live_ is gone. Whoever may go on because of it is added to `woken`.
    void count_down(woken_waiters& woken) noexcept;

    task_context& owner_;
    scheduler& where_;
    scope_request request_;
    worker* home_;  // where all children run; null: anywhere
    bool cancel_rest_;
    bool told_ = false;  // a request from outside was delivered in the body; the owner only
    atomic<std::uint32_t> references_{1};

    mutable spin_lock lock_;  // everything below
    bool aborting_ = false;
    bool closed_ = false;
    bool cancelled_itself_ = false;  // cancel() was called
    bool body_runs_ = true;
    bool requested_ = false;        // the body was, or is just being, asked to end
    bool owner_cancelled_ = false;  // the owner was asked to end while it waited for the children
    std::size_t live_ = 0;
    intrusive_list<spawned_base, &spawned_base::sibling> children_;
    spawned_base* first_asked_ = nullptr;
    failure* first_failure_ = nullptr;
    failure** last_failure_ = &first_failure_;
    wait_list bounded_;  // spawn_bounded()s that wait, in order
    waiter* joiner_ = nullptr;
};

class group_core::join_awaiter final : public waiter {
public:
    explicit join_awaiter(group_core& group) noexcept : group_(group) {}

    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const noexcept {}

private:
    bool wait() noexcept;
    bool try_cancel() noexcept override;
    std::string describe() const override { return "the tasks of its group"; }

    group_core& group_;
};

inline group_core::join_awaiter group_core::join() noexcept {
    return join_awaiter(*this);
}

// Waits until fewer than `bound` live, and then has room for one more.
class group_core::slot_waiter : public listed_waiter {
public:
    bool await_ready() { return group_.try_reserve(bound_); }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }

protected:
    slot_waiter(group_core& group, std::size_t bound);
    ~slot_waiter() = default;

    // The wait is over: throws the task's own cancellation, or what the group says to a new child.
    void check();
    group_core& group() const noexcept { return group_; }

private:
    friend group_core;
    bool wait();
    bool try_cancel() noexcept override;

    group_core& group_;
    std::size_t bound_;
};

template <class T>
spawned<T>& group_core::start_reserved(task<T>&& body, spawn_options const& options) {
    try {
        auto* const child = new spawned<T>(std::move(body));
        child->owner = this;
        child->parent = &owner_;
        child->make_first_handle();
        if (home_ != nullptr) {
            spawn_options pinned = options;
            pinned.pinned = true;
            start(where_, *child, pinned, home_);
        } else {
            start(where_, *child, options);
        }
        adopt(*child);
        return *child;
    } catch (...) {
        give_up();
        throw;
    }
}

}  // namespace magpie::detail
