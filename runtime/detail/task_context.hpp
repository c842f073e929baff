#pragma once

// A task's record, and the one place where completion meets cancellation.
//
// Every task (spawned, blocked on, or child of a combinator) has one task_context. It outlives the task's frames and
// lies where the result goes: in the spawned task's control block, or in the awaiting frame of a combinator.
// While a task is suspended at an awaitable that can be cancelled, the word points at that awaitable's waiter.
//
//   the word:  | finished 1 | count 15 | waiter 44 (address / 16) | external 1 | done 1 | cancelling 1 | pending 1 |
//
//   count       cancelling(): requests made and not taken back. Any thread raises it; only the task lowers it.
//   pending     a request that has not been delivered yet. Requests coalesce: one delivery for any number of them.
//   external    the pending request came from outside the task (a handle, a parent), not from one of its own scopes
//               (timeout, task group): on delivery the task's open groups cancel their children at once.
//   waiter      where the task is suspended, if it can be cancelled there; set by the task, cleared by whoever ends
//               the wait.
//   cancelling  some thread is inside waiter->try_cancel(). Until it leaves, the waiter's frame must not run.
//   done        the wait ended while a canceller was inside; the canceller resumes the task on its way out.
//   finished    the task has ended; requests are refused from now on.
//
//   running   --suspend()-->          waiting           (refused if a request is pending: it is delivered instead)
//   waiting   --complete()-->         running           the waker queues the waiter
//   waiting   --request_cancel()-->   cancelling        try_cancel() runs in the canceller's thread
//   cancelling --try_cancel true-->   running|pending   the canceller queues the waiter, marked cancelled
//   cancelling --try_cancel false-->  waiting|pending   somebody else will complete it; the request stays
//              (try_cancel() runs again first if the count has grown meanwhile: joins pass each request on)
//   cancelling --complete()-->        cancelling|done   the waker leaves; the canceller queues the waiter
//
// A request that is passed on from task to task, and comes back to one that it came through, has gone round in a circle:
// nobody in it would ever end. It is not counted again, and the wait for a handle that closed the circle is given up
// (leave_circle()), so that its task is cancelled, and after it the others.
//
// So a value that arrives first is delivered and the request stays pending for the next suspension, a wait that was
// cancelled first delivers the request, and the waiter's frame cannot die while a canceller looks at it.
// Every transition is one compare-exchange, acquire-release, and pairs with the other transitions of the same word.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/work_item.hpp>

#include <cstdint>
#include <string>

namespace magpie::detail {

class worker;
class waiter;
class local_values;
struct task_extras;

enum class request_origin : std::uint8_t {
    external,  // from a handle, a parent task, shutdown
    scope,     // from a scope of the task itself: a timeout, a task group
};

// How a task's first frame ended.
enum class finish_kind : std::uint8_t {
    ran,        // final_suspend: the promise holds the outcome
    unstarted,  // cancelled before its first step: the frame never ran
};

class task_context : public work_item {
public:
    // Called once, when the task ends, by the worker that ran its last step. Takes the outcome out of the root frame,
    // destroys the frame, tells whoever waits, and returns what this worker resumes next (noop if nothing).
    using finish_fn = std::coroutine_handle<> (*)(task_context&, finish_kind) noexcept;

    explicit task_context(finish_fn on_finish) noexcept : finish_(on_finish) { context = this; }
    task_context(task_context const&) = delete;
    task_context& operator=(task_context const&) = delete;
    ~task_context() {
        if (has_more) [[unlikely]] {
            free_more();
        }
    }

    // Ends the task. Owner worker only.
    std::coroutine_handle<> finish(finish_kind kind) noexcept { return finish_(*this, kind); }

    // Records a cancellation request. Any thread, as long as the record lives. False if the task has ended.
    bool request_cancel(request_origin origin) noexcept;

    // The rest is for the task itself (its current worker).

    // True if a request is due now: takes it, and tells the open groups if it came from outside. The caller throws.
    bool take_request() noexcept;
    // As take_request(), without the look at the shield: for a wait that has ended by cancellation.
    void consume_request() noexcept;
    // Publishes where the task is about to wait. False: a request is pending; do not wait, deliver it.
    [[nodiscard]] bool suspend(waiter& where) noexcept;
    // As suspend(), for joins: a pending request does not prevent the wait but is passed on to what is waited for.
    void suspend_forwarding(waiter& where) noexcept;
    // Lowers the count; at zero an undelivered request is withdrawn. Returns what is left.
    unsigned uncancel() noexcept;
    // Makes the pending flag follow the count again after a scope took its own request back.
    void rearm() noexcept;
    // Refuses requests from now on.
    void mark_finished() noexcept { word_.store(finished_bit, mo_relaxed); }

    unsigned cancel_count() const noexcept {
        return static_cast<unsigned>((word_.load(mo_relaxed) & count_mask) >> count_shift);
    }
    bool request_pending() const noexcept { return (word_.load(mo_relaxed) & pending_bit) != 0; }
    bool finished() const noexcept { return (word_.load(mo_relaxed) & finished_bit) != 0; }
    bool suspended_cancellably() const noexcept { return (word_.load(mo_relaxed) & waiter_mask) != 0; }

    // Says where the task waits, for people; empty if it runs or waits where it cannot be cancelled. Any thread as long
    // as the record lives: the waiter is held as a canceller holds it.
    std::string describe_wait();

    // Ends the wait of `where`. Any thread that has decided, under the primitive's own lock, that it is over.
    // True: the caller queues the waiter. False: a canceller is inside and will.
    [[nodiscard]] bool complete(waiter& where) noexcept;

    bool has_started() const noexcept { return started_.load(mo_relaxed); }
    void mark_started() noexcept { started_.store(true, mo_relaxed); }

    // What the task inherits and carries. Written before the first step is queued and by the running task.
    task_context* parent = nullptr;   // who waits for this task, if a combinator does
    worker* home = nullptr;           // where it began; a pinned task never leaves it
    task_extras* extras = nullptr;    // id, name, open groups: made on first use (task_extras.hpp)
    local_values* locals = nullptr;   // what its task_local variables hold (task_locals.hpp)
    std::uint16_t shield_depth = 0;   // > 0: requests wait
    bool pinned = false;
    bool is_spawned = false;          // the record is a spawned_base
    bool owns_locals = false;         // it counts in the set's references; else it borrows from its parent
    bool has_more = false;            // extras or locals of its own, or had: the one question at the end

private:
    atomic<bool> started_{false};  // written by the worker of the first step; others read it as a hint

    static constexpr std::uint64_t pending_bit = 1;
    static constexpr std::uint64_t cancelling_bit = 2;
    static constexpr std::uint64_t done_bit = 4;
    static constexpr std::uint64_t external_bit = 8;
    static constexpr std::uint64_t flags_mask = 15;
    static constexpr std::uint64_t waiter_mask = ((std::uint64_t{1} << 48) - 1) & ~flags_mask;
    static constexpr unsigned count_shift = 48;
    static constexpr std::uint64_t count_one = std::uint64_t{1} << count_shift;
    static constexpr std::uint64_t count_mask = ((std::uint64_t{1} << 15) - 1) << count_shift;
    static constexpr std::uint64_t finished_bit = std::uint64_t{1} << 63;

    void free_more() noexcept;
    static waiter* waiter_of(std::uint64_t word) noexcept;
    static std::uint64_t address_of(waiter& w) noexcept;
    static std::uint64_t with_request(std::uint64_t word, request_origin origin) noexcept;
    void cancel_waiter(waiter& where, std::uint64_t asked) noexcept;
    [[nodiscard]] bool let_go(waiter& where, bool taken, std::uint64_t& asked) noexcept;

    atomic<std::uint64_t> word_{0};
    finish_fn finish_;
};

// Base of everything a task can be suspended at. Lies in the suspended coroutine's frame, so the address is stable and
// the object dies only after the coroutine runs again.
class alignas(16) waiter : public work_item {
public:
    waiter() = default;
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;

    // Called by a canceller, on any thread, one at a time, while the task cannot be resumed; again for each further
    // request, unless it gave true. True: the wait is over and was
    // cancelled; nobody else will complete this waiter. False: somebody else has completed it or will.
    virtual bool try_cancel() noexcept = 0;

    // Called behind try_cancel(), which has passed the request on, and it came back: this task is one of several that
    // wait for each other. True: as of try_cancel(), the wait is over.
    virtual bool leave_circle() noexcept { return false; }

    // A few words for people: "sleep", "semaphore", "task 12". Called with the waiter held; takes no lock.
    virtual std::string describe() const { return "an operation"; }

    // Ends the wait and queues the task. Any thread; once; after the primitive has let go of the waiter.
    void wake() noexcept;

    bool was_cancelled() const noexcept { return cancelled_; }

protected:
    ~waiter() = default;

    template <class Promise>
    void bind(std::coroutine_handle<Promise> coroutine) noexcept {
        handle = coroutine;
        context = coroutine.promise().context();
    }

    bool cancelled_ = false;  // written by the canceller before it queues the waiter, read after the resumption

private:
    friend class task_context;
    bool published_ = false;  // the task's word points (or pointed) here; written by the task before it waits
};

} // namespace magpie::detail
