#pragma once

// Who has ended, in the order of the ends, and who waits for the next one. Behind as_completed() and first_success().
//
// An end is a node: a child's record, or the watcher of a spawned task. It is handed to the consumer that has waited
// longest, else it is kept in ended_; so there are never both kept ends and waiting consumers.
//
//   outstanding_  begun and not ended
//   live_         begun and not yet handed to a consumer: what the limit counts, so that results do not pile up
//   more_         the source may have more children. Consumers start them, in feed(), one consumer at a time (feeding_)
//   timed_out_    the deadline has passed: consumers get what is kept, then an error; nothing more is begun
//
//   next()   an end is kept           -> that one
//            nothing is to come       -> the end: outstanding_ is 0 and more_ is false
//            timed_out_               -> timed out
//            else the consumer waits, first come, first served, until one of the three
//
// All of this is under the lock, except children_, which lists the records that exist: changed under the lock by
// consumers, and read without it once there are none any more: when the owner has called abandon(), and waits for the
// children or is asked to end while it does. Who brings an end touches the core last when it lets go of the lock; then
// it wakes consumers, who are there until they are woken. The timer's last touch is timer_over_.

#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>

namespace magpie::detail {

class completion_core;

struct completion_node {
    completion_node* next = nullptr;
};

// The record of a child that the core owns.
class completion_child : public task_context, public completion_node {
public:
    completion_child(finish_fn at_end, std::size_t its_index) noexcept : task_context(at_end), index(its_index) {}
    virtual ~completion_child() = default;

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* memory, std::size_t size) noexcept { deallocate_frame(memory, size); }

    // What it ended with, if that was an error. Cancelled is none.
    virtual std::exception_ptr failure() const noexcept = 0;

    completion_core* core = nullptr;
    std::size_t index;
    list_hook hook;
};

class completion_core : private timer {
public:
    completion_core(completion_core const&) = delete;
    completion_core& operator=(completion_core const&) = delete;

    enum class status : std::uint8_t { none, item, end, timed_out, cancelled };

    // One has ended. Any thread; for a child the last thing that it does.
    void ended(completion_node& node) noexcept;

    // --- The owner.

    // Ends come from outside from now on: so many, and no more.
    void expect(std::size_t count) noexcept { outstanding_ = live_ = count; }
    // Children are started by feed(), at most `limit` at a time.
    void feed_up_to(std::size_t limit) noexcept {
        limit_ = limit;
        more_ = true;
    }
    // Queues a child, which the core then owns, as one of the task `parent`.
    void start(task_context& parent, completion_child& child) noexcept;
    // From then on consumers are told that time is up. On a worker. clear_deadline() takes it back.
    void set_deadline(time_point when);
    void clear_deadline() noexcept;

    // There will be no consumer any more: begins nothing, asks every child to end.
    void abandon(task_context& parent) noexcept;
    class join_awaiter;
    // `co_await all_ended()`, after abandon(). Throws nothing; a further request to the parent is passed on.
    join_awaiter all_ended() noexcept;
    // After all_ended(): an end that nobody has taken, or null.
    completion_node* take_left() noexcept { return ended_.pop_front(); }

    // --- Consumers. Any task.

    // Starts children as far as the limit allows.
    void feed() noexcept;
    // What the source threw, once.
    void throw_source_error();
    // A child that was handed over is not needed any more.
    void release(completion_child& child) noexcept;

protected:
    completion_core() = default;
    ~completion_core();

    // Starts one more; false: the source has no more. What it throws ends the source.
    virtual bool start_one() { return false; }
    // Reports what nobody has asked for, as suppressed, and frees the children. After all_ended().
    void drop_rest(char const* what) noexcept;

private:
    friend class completion_waiter;

    status take(completion_node*& node) noexcept;
    bool may_start() const noexcept { return more_ && !timed_out_ && live_ < limit_; }
    bool exhausted() const noexcept { return outstanding_ == 0 && !more_; }
    // Under the lock.
    void end_waits(status how, woken_waiters& woken) noexcept;
    void cancel_children() noexcept;
    void expired() noexcept override;

    mutable spin_lock lock_;
    intrusive_queue<completion_node> ended_;
    wait_list consumers_;
    intrusive_list<completion_child, &completion_child::hook> children_;
    std::size_t outstanding_ = 0;
    std::size_t live_ = 0;
    std::size_t limit_ = std::numeric_limits<std::size_t>::max();
    bool more_ = false;
    bool feeding_ = false;
    bool timed_out_ = false;
    std::exception_ptr source_error_;
    waiter* joiner_ = nullptr;

    // The owner's.
    unsigned requests_ = 0;  // how many of the parent's requests the children know of
    bool timer_used_ = false;
    atomic<bool> timer_over_{false};
};

// Waits for the next end. Its heirs say what they make of it.
class completion_waiter : public listed_waiter {
public:
    bool await_ready();
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }

protected:
    explicit completion_waiter(completion_core& core) noexcept : listed_waiter("the next task to end"), core_(core) {}
    ~completion_waiter() = default;

    // How the wait ended; `cancelled` leaves the request pending.
    completion_core::status status() const noexcept {
        return was_cancelled() ? completion_core::status::cancelled : how_;
    }
    // Throws if it was cancelled or the time is up. The node, or null: nothing is to come.
    completion_node* check();

    completion_core& core_;
    completion_node* node_ = nullptr;

private:
    friend class completion_core;
    bool wait() noexcept;
    bool try_cancel() noexcept override;

    completion_core::status how_ = completion_core::status::none;
    bool yields_ = false;
};

class completion_core::join_awaiter final : public waiter {
public:
    explicit join_awaiter(completion_core& core) noexcept : core_(core) {}

    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const noexcept {}
    std::string describe() const override { return "its children"; }

private:
    bool wait() noexcept;
    bool try_cancel() noexcept override;

    completion_core& core_;
};

inline completion_core::join_awaiter completion_core::all_ended() noexcept {
    return join_awaiter(*this);
}

}  // namespace magpie::detail
