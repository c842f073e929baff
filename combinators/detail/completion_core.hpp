#pragma once

// Who has ended, in the order of the ends, and who waits for the next one. Behind as_completed() and first_success().
//
// An end is a node: a child's record, or the watcher of a spawned task. It is handed to the consumer that has waited
// longest, else it is kept in ended_; so there are never both kept ends and waiting consumers.
//
//   outstanding_  begun and not ended
//   live_         begun and not yet handed to a consumer: what the limit counts, so that results do not pile up
//   more_         the range may have more children. Consumers start them, in feed(), one consumer at a time (feeding_)
//   timed_out_    the deadline has passed: consumers get what is kept, then an error; nothing more is begun
//
//   next()   an end is kept           -> that one
//            nothing is to come       -> the end: outstanding_ is 0 and more_ is false
//            timed_out_               -> timed out
//            else the consumer waits, first come, first served, until one of the three
//
// Children that an async_generator makes are started by the feeder, a task of its own that counts in outstanding_ until
// it has ended, and that waits in room() while the limit is reached.
//
// All of this is under the lock. children_ lists the records that exist. abandon() moves them to asked_, which nobody
// changes from then on, so that it may be walked without the lock; a child that the feeder starts only then is asked to
// end by it. Consumers that still wait then are woken with the end, and the owner is not told that all have ended before
// those that were woken have looked. Who brings an end touches the core last when it lets go of the lock; then it wakes
// consumers, who are there until they are woken. The timer is a member: it may expire while heirs are being destroyed,
// until ~completion_core() has waited for its last touch, over_.

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
class completion_waiter;

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
    // After its end.
    virtual bool cancelled() const noexcept = 0;

    completion_core* core = nullptr;
    std::size_t index;
    list_hook hook;
};

class completion_core {
public:
    completion_core(completion_core const&) = delete;
    completion_core& operator=(completion_core const&) = delete;

    enum class status : std::uint8_t { none, item, end, timed_out, source_failed, cancelled };

    // One has ended. Any thread; for a child the last thing that it does.
    void ended(completion_node& node) noexcept;
    // The feeder has, by this error or null.
    void feeder_ended(std::exception_ptr error) noexcept;

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
    // The same, but a child that has nothing behind it that runs already is freed instead if time is up. False: it was.
    bool start_in_time(task_context& parent, completion_child& child) noexcept;
    // The same for the task that starts the others from now on: at most `limit` at a time.
    void start_feeder(task_context& parent, completion_child& feeder, std::size_t limit) noexcept;
    class room_awaiter;
    // `co_await room()`, in the feeder, until one more may be started.
    room_awaiter room() noexcept;
    // From then on consumers are told that time is up. On a worker. clear_deadline() takes it back.
    void set_deadline(time_point when) { deadline_.set(when); }
    void clear_deadline() noexcept;
    // The first to come sets it. Any task.
    void set_deadline_once(duration from_now);

    // There will be no consumer any more: begins nothing, asks every child to end.
    void abandon(task_context& parent) noexcept;
    class join_awaiter;
    // `co_await all_ended()`, after abandon(). Throws nothing; a further request to the parent is passed on.
    join_awaiter all_ended() noexcept;
    // After abandon(): the source threw once more.
    void source_failed(std::exception_ptr error) noexcept { source_error_ = std::move(error); }
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

    class deadline final : public timer {
    public:
        explicit deadline(completion_core& core) noexcept : core_(core) {}
        void set(time_point when);
        // It does not expire any more, and nothing of it runs.
        void clear() noexcept;

    private:
        void expired() noexcept override;

        completion_core& core_;
        bool set_ = false;
        atomic<bool> over_{false};
    };

    void queue(task_context& parent, completion_child& child) noexcept;
    void handed_over() noexcept;
    // Under the lock: a consumer that was woken, and looks at the core once more.
    void wakes(completion_waiter& consumer, status how, woken_waiters& woken) noexcept;
    // It has looked.
    void resumed() noexcept;
    bool all_gone() const noexcept { return outstanding_ == 0 && resuming_ == 0; }
    bool has_room() const noexcept { return !timed_out_ && live_ < limit_; }
    status take(completion_node*& node) noexcept;
    bool may_start() const noexcept { return more_ && has_room(); }
    bool exhausted() const noexcept { return outstanding_ == 0 && !more_; }
    // Under the lock.
    void end_waits(status how, woken_waiters& woken) noexcept;
    void cancel_children() noexcept;
    void time_is_up() noexcept;

    mutable spin_lock lock_;
    intrusive_queue<completion_node> ended_;
    wait_list consumers_;
    intrusive_list<completion_child, &completion_child::hook> children_;
    intrusive_list<completion_child, &completion_child::hook> asked_;
    std::size_t outstanding_ = 0;
    std::size_t live_ = 0;
    std::size_t resuming_ = 0;  // consumers that were woken and have not looked yet
    std::size_t limit_ = std::numeric_limits<std::size_t>::max();
    bool more_ = false;
    bool feeding_ = false;
    bool timed_out_ = false;
    bool abandoned_ = false;
    bool deadline_set_ = false;
    std::exception_ptr source_error_;
    waiter* joiner_ = nullptr;
    waiter* feeder_ = nullptr;  // waits for room

    // The owner's.
    unsigned requests_ = 0;  // how many of the parent's requests the children know of
    deadline deadline_{*this};
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

    // Made first thing when the consumer goes on: what it does while this lives, the owner waits for.
    class look {
    public:
        explicit look(completion_waiter& consumer) noexcept : core_(consumer.woken_ ? &consumer.core_ : nullptr) {}
        look(look const&) = delete;
        look& operator=(look const&) = delete;
        ~look() {
            if (core_ != nullptr) {
                core_->resumed();
            }
        }

    private:
        completion_core* core_;
    };

    completion_core& core_;
    completion_node* node_ = nullptr;

private:
    friend class completion_core;
    bool wait() noexcept;
    bool try_cancel() noexcept override;

    completion_core::status how_ = completion_core::status::none;
    bool yields_ = false;
    bool woken_ = false;  // counted in resuming_
    std::exception_ptr error_;
};

// How the wait for the next child to end went: a request to the waiting task ends it, and stays pending.
class completion_end {
public:
    completion_end(completion_core::status how, completion_node* who) noexcept : how_(how), who_(who) {}
    completion_core::status how() const noexcept { return how_; }
    completion_child* who() const noexcept { return static_cast<completion_child*>(who_); }

private:
    completion_core::status how_;
    completion_node* who_;
};

// Throws what the source threw, and nothing else.
class completion_end_awaiter final : public completion_waiter {
public:
    explicit completion_end_awaiter(completion_core& core) noexcept : completion_waiter(core) {}
    completion_end await_resume() {
        look const looks(*this);
        if (status() == completion_core::status::end || status() == completion_core::status::source_failed) {
            (void)check();
        }
        return {status(), node_};
    }
};

class completion_core::room_awaiter final : public waiter {
public:
    explicit room_awaiter(completion_core& core) noexcept : core_(core) {}

    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const;
    std::string describe() const override { return "room for one more task"; }

private:
    bool wait() noexcept;
    bool try_cancel() noexcept override;

    completion_core& core_;
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

inline completion_core::room_awaiter completion_core::room() noexcept {
    return room_awaiter(*this);
}

inline completion_core::join_awaiter completion_core::all_ended() noexcept {
    return join_awaiter(*this);
}

}  // namespace magpie::detail
