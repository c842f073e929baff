#pragma once

// How a batch runs: one coroutine, the driver, and the items it starts.
//
// The driver runs in the awaiting task. It alone takes inputs from the range, calls the user's functions, starts items,
// takes back those that have ended, and decides what comes next. In between it waits for some event:
//
//   ended_       items whose attempt has ended, and that the driver has not taken back
//   granted_     a permit of the shared limit that the driver had queued up for
//   fired_       the timer: a pause before a next attempt, or a start that the rate held back, is over
//   fetched_     the task that runs an async_generator for the next input has ended
//   requested_   a cancellation of the awaiting task was passed on to the items
//   sleeping_    the driver, suspended; whoever brings an event takes it and wakes it
//
// These are under lock_, and whoever brings an event touches the batch last when it lets go of the lock. So the driver,
// which sees the event under the lock, may end and the batch may die. Before that it withdraws from the shared limit
// and disarms the timer; what cannot be withdrawn because it is just happening is an event that it still waits for.
//
// An item has a slot, whose life is
//
//   free     --take_free_slot()-->         filled
//   filled   --start()-->                  running
//   running  --ended(), by some worker-->  ended
//   ended    --take_ended()-->             filled
//   filled   --pause()-->                  pausing     a further attempt follows
//   pausing  --end_pause_of_due_slot()-->  filled
//   filled   --free_slot()-->              free
//
// Everything in a slot is the driver's, but while it is running the result, and the time of the end, are the worker's
// that ends the item. All slots are on a list that only grows, so that others may walk it (a canceller, while the driver
// is suspended; a batch inside an item that looks whether it waits for its own outside).
//
// Cancelling: a request stays pending in the task's word until the batch is over, so each wait of the driver would
// pass it on again. It is passed on only if the task's count of requests has grown since the last time.

#include <magpie/combinators/detail/limit_control.hpp>
#include <magpie/combinators/detail/permit_waiter.hpp>
#include <magpie/combinators/detail/semaphore_core.hpp>
#include <magpie/combinators/detail/token_bucket.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace magpie::detail {

class batch_core;

// The part of a slot that does not depend on the types.
class batch_slot {
public:
    batch_slot(batch_slot const&) = delete;
    batch_slot& operator=(batch_slot const&) = delete;
    virtual ~batch_slot() = default;

    // An attempt's record as a task: made anew for each.
    class record : public task_context {
    public:
        record(finish_fn when_finished, batch_slot& its_slot, batch_core& its_batch) noexcept
            : task_context(when_finished), slot(&its_slot), batch(&its_batch) {}
        batch_slot* slot;
        batch_core* batch;
    };

    std::size_t index = 0;    // of the input
    int attempt = 0;          // from 1
    time_point begun;         // the first attempt
    time_point due;           // while pausing: the next one
    std::uint64_t order = 0;  // of the pauses, among those that are over at the same time

protected:
    batch_slot() = default;

private:
    friend class batch_core;

    // Lies the task's record in this slot? Its address tells, so that nothing is read that others may write.
    bool holds(task_context const& task) const noexcept;

    // Of an attempt under an adaptive limiter.
    bool timed_ = false;
    time_point attempt_began_;
    time_point attempt_ended_;
    semaphore_core::usage use_;     // of the limiter, when it began

    std::optional<record> record_;  // while an attempt runs, and until it is taken back
    atomic<batch_slot*> next_{nullptr};  // of all slots, in the order in which they were made
    batch_slot* next_free_ = nullptr;
};

// What a batch is told to do, checked.
struct batch_limits {
    std::ptrdiff_t count = 0;           // the most items at a time, unless `shared` says
    semaphore_core* shared = nullptr;
    limit_control* control = nullptr;   // of a limiter: is told how the attempts end
    double rate = 0;                    // starts a second; 0 = no bound
};

class batch_core : private permit_waiter, private timer {
public:
    batch_core(batch_core const&) = delete;
    batch_core& operator=(batch_core const&) = delete;

    class event_awaiter;
    // `co_await some_event()` goes on when there is something for the driver to do. Throws nothing.
    event_awaiter some_event() noexcept;

    // The attempt has ended and its slot tells how. Any worker; the last thing it does.
    void ended(batch_slot::record& attempt) noexcept;

    // For inputs that have to be awaited; the driver. Runs the frame as a task that gets one, cancelled with the items.
    void start_fetch(task_context& fetch, std::coroutine_handle<> frame) noexcept;
    bool fetching() const noexcept { return fetch_ != nullptr; }
    // The fetch has ended. Any worker; the last thing it does.
    void fetched() noexcept;

protected:
    // In the awaiting task.
    explicit batch_core(batch_limits const& limits) noexcept;
    // Everything has ended: see at_rest().
    ~batch_core();

    // --- For the driver.

    // Takes note of what has happened since the last time; the ended attempts are left for take_ended().
    void take_events() noexcept;
    // An attempt that has ended, in the order of the ends; null if there is none.
    batch_slot* take_ended() noexcept;
    std::size_t running() const noexcept { return running_; }

    // A slot that holds nothing, or null: make one and add it.
    batch_slot* take_free_slot() noexcept;
    void add_slot(batch_slot& slot) noexcept;
    void free_slot(batch_slot& slot) noexcept;

    // Whether an attempt may start now: the rate allows it, and there is a place under the limit, which is kept for it.
    // If not, the event that changes this has been ordered. Throws usage_error if the batch would wait for a permit
    // within which it lies itself.
    bool may_start();
    // The attempt's record; its frame must be told before start().
    batch_slot::record& make_record(batch_slot& slot, task_context::finish_fn finish) noexcept {
        return slot.record_.emplace(finish, slot, *this);
    }
    // Runs the frame as an attempt, with the place that may_start() found.
    void start(batch_slot::record& attempt, std::coroutine_handle<> frame) noexcept;

    // Tells the limiter, if there is one, how the slot's attempt has ended. After take_ended().
    void tell_limiter(batch_slot const& slot, bool succeeded) noexcept;
    // The slot's attempt never began.
    static void forget_time(batch_slot& slot) noexcept { slot.timed_ = false; }

    // The slot's next attempt is due at slot.due.
    void pause(batch_slot& slot);
    std::size_t pausing() const noexcept { return pausing_.size(); }
    // A slot whose pause is over, or null; then the event of the next one has been ordered. It goes on pausing.
    batch_slot* due_slot();
    void end_pause_of_due_slot() noexcept;
    // Ends some pause before its time: null if there is none.
    batch_slot* drop_pausing() noexcept;

    // The awaiting task has been asked to end.
    bool asked_to_end() const noexcept { return parent_.shield_depth == 0 && parent_.request_pending(); }
    // Asks every running item to end. True if one took the request.
    bool cancel_items() noexcept;
    // A request to the awaiting task was passed on, and an item took it.
    bool passed_on() const noexcept { return passed_on_; }
    task_context& parent() const noexcept { return parent_; }
    // The most items at a time.
    std::size_t most_at_once() const noexcept;
    // The most items that may pause while new ones begin: bounds the slots.
    std::size_t most_pausing() const noexcept;
    // Gives back a place that is kept for a start, and leaves the queue for one: the driver will not start anything for
    // a while. False: a place is just being given, and some_event() will tell.
    bool give_up_place() noexcept;

    // The driver has more to do, but others should have their turn.
    void come_back() noexcept { come_back_ = true; }
    // Nothing more is to be started: leaves the queue for places, disarms the timer. True if nothing runs and nobody
    // will bring an event any more. False: wait for some_event().
    bool at_rest() noexcept;

private:
    // A member: another batch may ask it at any time, also while the derived class is made or goes.
    class user final : public permit_user {
    public:
        explicit user(batch_core const& batch) noexcept : batch_(batch) {}
        bool runs(task_context const& task) const noexcept override { return batch_.runs(task); }

    private:
        batch_core const& batch_;
    };

    bool runs(task_context const& task) const noexcept;
    void granted() noexcept override;
    void expired() noexcept override;

    template <class Change>
    void bring(Change change) noexcept;
    bool anything() const noexcept;
    bool pass_on(unsigned count) noexcept;
    bool find_place();
    void time_begin(batch_slot& slot) noexcept;
    void run_as_child(task_context& child, std::coroutine_handle<> frame) noexcept;
    void order_timer(time_point when);

    task_context& parent_;
    batch_limits const limits_;
    user user_{*this};
    token_bucket bucket_;
    std::size_t running_ = 0;
    bool has_place_ = false;      // a permit of the shared limit, for the next start
    bool queued_up_ = false;      // for one
    bool armed_ = false;
    time_point armed_for_;
    bool come_back_ = false;
    bool passed_on_ = false;
    task_context* fetch_ = nullptr;
    unsigned requests_ = 0;       // how many of the task's requests the items know of
    std::uint64_t next_order_ = 0;
    std::vector<batch_slot*> pausing_;  // a heap, the next one due on top
    batch_slot* free_ = nullptr;
    atomic<batch_slot*> slots_{nullptr};
    atomic<batch_slot*>* last_slot_ = &slots_;  // where the next one is linked

    mutable spin_lock lock_;
    intrusive_queue<work_item> ended_;
    bool granted_ = false;
    bool fired_ = false;
    bool fetched_ = false;
    bool requested_ = false;
    waiter* sleeping_ = nullptr;
};

class batch_core::event_awaiter final : public waiter {
public:
    explicit event_awaiter(batch_core& batch) noexcept : batch_(batch) {}

    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const noexcept {}
    std::string describe() const override { return "a batch's items"; }

private:
    bool wait() noexcept;
    bool try_cancel() noexcept override;

    batch_core& batch_;
    bool yields_ = false;
};

inline batch_core::event_awaiter batch_core::some_event() noexcept {
    return event_awaiter(*this);
}

} // namespace magpie::detail
