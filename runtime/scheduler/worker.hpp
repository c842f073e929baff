#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/fast_rand.hpp>
#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/timer.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/scheduler/fork_request.hpp>
#include <magpie/runtime/scheduler/fork_stack.hpp>
#include <magpie/runtime/scheduler/idle_set.hpp>
#include <magpie/runtime/scheduler/inject_queue.hpp>
#include <magpie/runtime/scheduler/ready_fifo.hpp>
#include <magpie/runtime/scheduler/run_queue.hpp>
#include <magpie/runtime/scheduler/steal_order.hpp>
#include <magpie/runtime/scheduler/timer_heap.hpp>

#include <cstdint>
#include <memory>

namespace magpie::detail {

class scheduler;

// One thread with its queues, its timers and its event loop.
//
//   run_queue     ready tasks: pushed by the owner, taken by the owner (oldest first) and by thieves (half at a time)
//   fork_stack    forked children that nobody else can see yet: the owner, newest first. When somebody is idle or
//                 asked, the owner moves some of the oldest to the run queue.
//   pinned        ready tasks that must run here: the owner only; others post through the pinned inbox
//   placed        ready tasks that others have sent here, because there is less to do here (placement.cpp): the owner
//                 takes them in with the pinned ones; if it is stuck, another worker does
//   timers        under a lock of their own, so that anybody may disarm one
//   ready_fifo    simulated clock only: everything, in one queue, in place of those above but the timers
class worker {
public:
    worker(scheduler& shared, unsigned index, std::unique_ptr<driver> loop);
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;
    ~worker();

    enum class run_end : std::uint8_t {
        stopped,
        stuck,  // simulated clock only: nothing is ready, no timer is set, and nobody outside can change that
    };

    // Runs tasks until `stop` is set, which is looked at between turns. The calling thread is the worker meanwhile.
    run_end run(atomic<bool> const& stop);
    // As run(), for the spare worker (scheduler_spare.cpp).
    void run_as_spare(atomic<bool> const& stop);
    void set_lent(bool lent) noexcept;  // any thread
    // Runs at most `budget` turns without ever sleeping; returns how many. The calling thread is the worker meanwhile.
    std::size_t run_ready(std::size_t budget);
    // True if run_ready() would find something.
    bool is_ready() const noexcept;
    time_point next_deadline() const noexcept;

    unsigned index() const noexcept { return index_; }
    scheduler& shared() const noexcept { return shared_; }
    driver& loop() noexcept { return *loop_; }

    // --- The owner, from inside a turn.

    task_context* current() const noexcept { return current_.load(mo_relaxed); }
    void set_current(task_context* context) noexcept {
        current_.store(context, mo_release);  // pairs with the acquire in pulse()
    }
    fork_join* open_join() const noexcept { return open_; }
    void set_open_join(fork_join* join) noexcept { open_ = join; }

    // The fork stack. push_fork() needs room, which reserve_forks() makes, or throws std::bad_alloc. What is pushed last is
    // run first. If forks are wanted then, expose_forks() is called for.
    void reserve_forks(std::size_t more) { forks_.reserve(more); }
    bool has_room_for_forks(std::size_t more) const noexcept { return forks_.has_room(more); }
    void push_fork(fork_join::child& child) noexcept { forks_.put(&child); }
    bool forks_are_wanted() const noexcept { return fork_request_.is_wanted() || idle_.any_parked(); }
    void expose_forks() noexcept;
    // A part (fork_parts.hpp): the maker, and the children as they are linked, the last one first. Returns the first,
    // which is not pushed. Room was reserved for as many.
    work_item& push_part(work_item& maker, work_item& last, bool share) noexcept;
    // Exposes forks if somebody wants them.
    void share_forks() noexcept {
        if (!forks_.empty() && forks_are_wanted()) {
            expose_forks();
        }
    }
    // There are others who might want forks.
    bool may_share() const noexcept { return may_steal_; }
    // Takes this item off the fork stack, if it is the newest.
    bool pop_fork(work_item const& item) noexcept {
        return forks_.pop_if([&item](work_item const& newest) { return &newest == &item; }) != nullptr;
    }
    // The newest fork, if it is a child of this join that is not to be cancelled.
    fork_join::child* pop_fork_of(fork_join const& join) noexcept {
        return ran(forks_.pop_if([&join](work_item const& newest) { return is_next_of(join, newest); }));
    }
    // As that, but gives up, with null, where that would take longer.
    fork_join::child* pop_fork_plainly(fork_join const& join) noexcept {
        return ran(forks_.pop_plainly([&join](work_item const& newest) { return is_next_of(join, newest); }));
    }

    // Queues a ready task here, and sees to it that somebody runs it.
    void push(work_item& item) noexcept;
    unsigned random_below(unsigned bound) noexcept { return random_.below(bound); }
    // As push(), but wakes nobody: the worker itself will come to it soon.
    void push_quietly(work_item& item) noexcept;
    // Everything is FIFO here: children too go through the queue.
    bool fifo() const noexcept { return fifo_; }

    // Begins a task, or goes on with one, inside the current turn: what to resume.
    std::coroutine_handle<> step_into(work_item& item) noexcept {
        task_context& task = *item.context;
        set_current(&task);
        if (!task.has_started()) {
            if (task.request_pending()) [[unlikely]] {
                return task.finish(finish_kind::unstarted);
            }
            task.mark_started();
        }
        return item.handle;
    }
    // As step_into(), for a child of which is known that it is not to end before it has started.
    std::coroutine_handle<> step_surely_into(fork_join::child& child) noexcept {
        child.mark_started();
        set_current(&child);
        return child.handle;
    }
    // As that, for a task that has started.
    std::coroutine_handle<> step_back_into(work_item& item) noexcept {
        set_current(item.context);
        return item.handle;
    }
    // One resumption more in this turn. True: the turn must end, others are waiting: in the queues, or, for an await that
    // goes on at once, also forks. (Children of an open join that run one after the other need not stop for forks.)
    bool charge() noexcept { return charge_quickly() && charge_slowly(false); }
    bool charge_await() noexcept { return charge_quickly() && charge_slowly(true); }
    // The two halves of charge(): true from the first leaves the decision to the second.
    bool charge_quickly() noexcept {
        beat_.add();
        return budget_is_used_up();
    }
    bool charge_slowly(bool forks_count) noexcept;
    // Ends the open phase of all joins of this turn.
    void close_joins() noexcept;
    // Runs a task's first step inside the caller's.
    void run_eagerly(task_context& task) noexcept;

    // --- Any thread.

    void post_pinned(work_item& item) noexcept;
    // Queues a ready task that is not pinned.
    void place(work_item& item) noexcept;
    // Tasks that are ready here, and operations that wait here: a hint.
    std::size_t load() const noexcept;
    // A thief has found nothing: expose forks at the next opportunity.
    void ask_for_forks() noexcept { fork_request_.ask(); }
    worker_metrics look() const noexcept;

    // What the stall monitor looks at: the heartbeat moves on with each resumption.
    struct heartbeat {
        std::uint64_t beat = 0;
        bool in_task = false;
    };
    heartbeat pulse() const noexcept {
        // acquire: pairs with the release in set_current(): in a task, the beat is that task's or a later one.
        bool const in_task = current_.load(mo_acquire) != nullptr;
        return {beat_.value.load(mo_relaxed), in_task};
    }
    // What the current turn began with; only to be compared: it may be gone.
    task_context const* turn_of() const noexcept { return turn_of_.load(mo_relaxed); }
    static constexpr std::uint64_t not_stuck = ~std::uint64_t{0};
    void mark_stuck(std::uint64_t since_beat) noexcept { stuck_since_.store(since_beat, mo_relaxed); }
    // Found stuck, and has not moved since.
    bool is_stuck() const noexcept {
        heartbeat const seen = pulse();
        return seen.in_task && seen.beat == stuck_since_.load(mo_relaxed);
    }
    bool holds_back() const noexcept { return loop_->holds_back(); }
    void note_kick() noexcept { kicks_.add(); }  // the stall monitor's
    // Something waits here for the owner that another worker could do.
    bool is_stranded() const noexcept;

    run_queue<work_item>::thief_end& stealable() noexcept { return run_queue_.thief(); }
    bool has_stealable() const noexcept { return !run_queue_.empty(); }

    // Timers (runtime/detail/timer.hpp).
    void add_timer(timer& t, time_point when);
    bool add_timer_and_suspend(timer& t, time_point when, waiter& w);
    bool remove_timer(timer& t) noexcept;

private:
    // The main loop's steps, in the order in which they are tried.
    work_item* take() noexcept;
    work_item* search() noexcept;
    void sleep(atomic<bool> const& stop);
    [[nodiscard]] bool advance_clock(atomic<bool> const& stop);
    void turn(work_item& item) noexcept;

    work_item* take_as_spare() noexcept;
    void hand_over() noexcept;
    void look_around() noexcept;
    static bool is_next_of(fork_join const& join, work_item const& newest) noexcept {
        return newest.context == &newest &&  // else a maker (fork_parts.hpp): not a task's first step
               static_cast<fork_join::child const&>(newest).join == &join && !newest.context->request_pending();
    }
    fork_join::child* ran(work_item* fork) noexcept {
        forks_ran_ = forks_ran_ || fork != nullptr;
        return static_cast<fork_join::child*>(fork);
    }
    bool budget_is_used_up() const noexcept { return fork_request_.is_due(beat_.value.load(mo_relaxed)); }
    bool look_is_due() noexcept;
    void renew_budget() noexcept;
    void answer_thieves() noexcept;
    void take_in_sent() noexcept;
    void push_local(work_item& item) noexcept;
    void push_behind_overflow(work_item& item) noexcept;
    void take_injected() noexcept;
    void fire_timers() noexcept;
    work_item* pop_fork() noexcept;
    unsigned take_forks_of(worker& stuck) noexcept;
    unsigned take_ready_of(worker& stuck) noexcept;
    unsigned take_placed_of(worker& stuck) noexcept;
    work_item* take_fifo() noexcept;
    work_item* steal_from_others(unsigned looks_at_few) noexcept;
    bool is_worth_it(worker& victim, unsigned looks_at_few) noexcept;
    void found_work() noexcept;
    void ask_others_for_forks() noexcept;
    bool anything_to_do(atomic<bool> const& stop) noexcept;
    bool others_have_work() const noexcept;
    work_item* take_queued() noexcept;
    bool spin(atomic<bool> const& stop) noexcept;
    bool rescue_others() noexcept;
    bool take_over(worker& stuck) noexcept;
    unsigned fire_timers_of(worker& owner, unsigned at_most) noexcept;

    // Written by the owner, read by snapshot().
    struct counter {
        void add(std::uint64_t n = 1) noexcept { value.store(value.load(mo_relaxed) + n, mo_relaxed); }
        atomic<std::uint64_t> value{0};
    };
    struct counters {
        counter tasks_resumed, steals_tried, steals_won, tasks_stolen, overflows, parks, wakeups, timers_fired,
            budget_exhausted, rescues, completions_taken_over, timers_taken_over, tasks_placed;
    };

    // The owner's.
    scheduler& shared_;
    idle_set const& idle_;  // the scheduler's
    unsigned index_;
    bool fifo_;
    bool may_steal_;
    bool searching_ = false;
    time_point last_find_{};     // when it last took something over from a worker that is stuck
    time_point last_forks_{};    // and forks
    time_point last_ready_{};    // and ready tasks
    bool spin_pays_ = true;      // the last sleep ended soon: looking a little longer before sleeping is worth it
    // The beat of the next look around, unless a thief asks: how many more resumptions until then is the budget.
    std::uint64_t look_due_at_ = 0;
    std::int32_t queue_credit_ = 0;  // of the queues' turn, after a look around: so that forks cannot starve them
    bool forks_ran_ = false;         // since the last look around; if not, one is due before the queues' turn, which
    bool fork_due_ = false;          // long turns may use up without end
    bool overflowed_ = false;        // the run queue has, and the inject queue was not empty since
    // These three are read by the stall monitor.
    atomic<task_context*> current_{nullptr};
    atomic<task_context const*> turn_of_{nullptr};
    counter beat_;
    fork_join* open_ = nullptr;
    fork_stack<work_item> forks_;
    intrusive_queue<work_item> pinned_;
    bool pinned_next_ = false;       // the queues' turns alternate
    ready_fifo ready_;
    std::unique_ptr<driver> loop_;
    fast_rand random_;
    steal_order order_;          // in which this worker visits the others
    struct glance {  // of a thief at another's queue
        std::uint32_t oldest = 0;
        unsigned same = 0;   // looks on end at which that did not change
        unsigned looks = 0;  // on end at which there was something
    };
    std::unique_ptr<glance[]> glances_;  // by worker
    counters counters_;
    atomic<std::size_t> forks_seen_{0};   // how many there were at the last look around: for metrics
    atomic<std::size_t> pinned_seen_{0};

    // Shared with other threads, each part on lines of its own.
    alignas(cache_line_size) atomic<std::uint64_t> stuck_since_{not_stuck};  // a heartbeat: written by the stall monitor
    atomic<bool> lent_{false};                            // the spare worker's
    counter kicks_;                                       // the stall monitor's; the loop counts those of rescuers
    alignas(cache_line_size) run_queue<work_item> run_queue_;
    fork_request fork_request_;
    alignas(cache_line_size) inject_queue<work_item> pinned_inbox_;
    inject_queue<work_item> placed_;
    alignas(cache_line_size) mutable spin_lock timer_lock_;
    timer_heap timers_;
    atomic<std::int64_t> next_deadline_;                    // of timers_, as a count of nanoseconds
};

} // namespace magpie::detail
