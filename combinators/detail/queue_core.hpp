#pragma once

// The state of a queue, whatever its items are and in whichever order they leave: it moves pointers to items, under a
// lock that is held for a few loads and stores. Items are made before and unmade after, so that no code of the user runs
// under the lock (but the comparison of a priority order).
//
//   items       in `order_`; count_ of them
//   reserved    room that try_put() has taken for an item which it is making; counts as occupied
//   unfinished  items put and not yet told done by task_done(); a reservation counts, a discarded item no longer
//   getters     wait: there is no item
//   putters     wait, each with its item: there is no room
//   joiners     wait until nothing is unfinished
//
//   put    a getter waits -> it has the item;  room -> into the order;  else the putter waits
//   get    an item is there -> taken, and the first putter's item takes the room;  else the getter waits
//   close  putters end with "closed"; getters, too, once nothing is reserved (they wait only while there is no item)
//
// Each waiter's place lies in a task's frame or on a foreign thread's stack. It is linked as long as it waits; whoever
// unlinks it, under the lock, has set its `end` and its item, and tells it after unlocking: ended() is the last touch.

#include <magpie/runtime/detail/backoff.hpp>
#include <magpie/runtime/detail/blocking.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace magpie::detail {

// An item's place in its queue, or the base of what its order needs; the item itself follows (queue_item.hpp).
struct queue_node {
    queue_node* next = nullptr;
};

// In which order items leave. Called under the queue's lock.
class queue_order {
public:
    queue_order() = default;
    queue_order(queue_order const&) = delete;
    queue_order& operator=(queue_order const&) = delete;
    virtual void add(queue_node& item) noexcept = 0;
    // The next one to leave; there is one.
    virtual queue_node& take() noexcept = 0;
    // All of them, linked by `next`, in any order; null if there are none.
    virtual queue_node* take_all() noexcept = 0;

protected:
    ~queue_order() = default;
};

// Who waits at a queue.
class queue_place {
public:
    queue_place(queue_place const&) = delete;
    queue_place& operator=(queue_place const&) = delete;

    // The wait is over. Called once, under no lock; the place may be gone when it returns.
    virtual void ended() noexcept = 0;

    enum class end : std::uint8_t { none, done, closed, refused };
    list_hook hook;
    queue_place* next = nullptr;   // between being unlinked and told
    queue_node* item = nullptr;    // a putter's, to be put: null once it is; a getter's: what it got
    end how = end::none;           // refused: the task has a request pending and does not wait
    // A foreign thread's: keeps the simulated clock of the runtime that uses the queue at a stand.
    std::optional<outside_work_scope>* outside = nullptr;

protected:
    explicit queue_place(queue_node* to_put) noexcept : item(to_put) {}
    ~queue_place() = default;
};

// For tasks on several workers that come again and again: who finds it taken leaves the others alone for a microsecond
// at once (backoff.hpp), in which they bring dozens of items through.
class queue_lock : public spin_lock {
public:
    void lock() noexcept {
        if (!try_lock()) {
            wait_and_lock();
        }
    }

private:
    [[gnu::noinline]] void wait_and_lock() noexcept {
        backoff waiting(backoff::longest);
        do {
            waiting.wait();
        } while (!try_lock());
    }
};

class queue_core {
public:
    // A capacity of 0 means: no bound.
    queue_core(std::size_t capacity, queue_order& order) noexcept : capacity_(capacity), order_(order) {}
    queue_core(queue_core const&) = delete;
    queue_core& operator=(queue_core const&) = delete;
    ~queue_core();

    enum class wait_policy : bool { never, may_wait };

    // Each returns, and sets as place.how, how it ended. `none`: it has not. Then nothing was done (never), or the place
    // is linked (may_wait) and, the wait having begun, may be gone. With a task, the wait is published as where it
    // waits, as one step for a canceller.
    using end = queue_place::end;
    end put(queue_place& place, wait_policy policy, waiter* task) noexcept;
    end get(queue_place& place, wait_policy policy, waiter* task) noexcept;
    end join(queue_place& place, wait_policy policy, waiter* task) noexcept;

    // Unlink the place. False: its wait has ended, or is ending.
    bool leave_putters(queue_place& place) noexcept { return leave(place, putters_); }
    bool leave_getters(queue_place& place) noexcept { return leave(place, getters_); }
    bool leave_joiners(queue_place& place) noexcept { return leave(place, joiners_); }

    // try_put() in two steps. False: there is no room, somebody waits for it, or the queue is closed.
    [[nodiscard]] bool reserve() noexcept;
    // True: the item is in. False: the queue was closed with `discard` meanwhile, and the item is the caller's again.
    [[nodiscard]] bool fill_reservation(queue_node& item) noexcept;
    void drop_reservation() noexcept;

    // Returns the items that were discarded, linked by `next`.
    [[nodiscard]] queue_node* close(bool discard) noexcept;
    // False: nothing is unfinished.
    [[nodiscard]] bool task_done() noexcept;

    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t size() const noexcept;
    std::size_t unfinished() const noexcept;
    bool closed() const noexcept;
    std::size_t waiting_getters() const noexcept { return count(getters_); }
    std::size_t waiting_putters() const noexcept { return count(putters_); }

private:
    using places = intrusive_list<queue_place, &queue_place::hook>;
    using told = intrusive_queue<queue_place>;

    // Under the lock.
    bool has_room() const noexcept { return capacity_ == 0 || count_ + reserved_ < capacity_; }
    void add_item(queue_node& item, told& over) noexcept;
    void fill_room(told& over) noexcept;
    void finish_unfinished(std::size_t n, told& over) noexcept;
    void release_getters_if_closed(told& over) noexcept;
    [[nodiscard]] end link(queue_place& place, places& in, waiter* task) noexcept;
    void hold_clock(queue_place& foreign) noexcept;
    void learn_runtime() noexcept;
    static void end_all(places& of, end how, told& over) noexcept;

    static void tell(told& over) noexcept;
    bool leave(queue_place& place, places& in) noexcept;
    std::size_t count(places const& of) const noexcept;

    mutable queue_lock lock_;
    bool closed_ = false;
    bool discarding_ = false;
    std::size_t const capacity_;
    std::size_t count_ = 0;
    std::size_t reserved_ = 0;
    std::size_t unfinished_ = 0;
    queue_order& order_;
    places getters_;
    places putters_;
    places joiners_;
    std::shared_ptr<outside_work> runtime_;  // of the task that waited here last; foreign waiters make its clock stand
};

// A task at a queue. An operation that can be done at once does not suspend, unless the task has used up its turn: then
// it goes to the back of its worker's queue with the operation done, and cannot be cancelled there.
class queue_waiter : public waiter, public queue_place {
public:
    std::string describe() const final { return "queue"; }

protected:
    queue_waiter(queue_core& at, queue_node* to_put) noexcept : queue_place(to_put), at_(&at) {}
    ~queue_waiter() = default;

    // The end of every await_resume(): throws if the wait was cancelled. True if the operation was done, false if the
    // queue is closed.
    bool check() const;
    // After an attempt at once: true if the task goes on without suspending.
    bool goes_on() const noexcept;
    // Before an attempt that may wait: true if the operation was done at once but the turn is used up.
    bool yields() noexcept;
    // After it, with what it returned: true if the task is suspended.
    bool suspended(end how_it_ended) noexcept;

    queue_core* at_;

private:
    void ended() noexcept final { wake(); }
};

class queue_put_waiter : public queue_waiter {
public:
    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }

protected:
    queue_put_waiter(queue_core& at, queue_node* to_put) noexcept : queue_waiter(at, to_put) {}
    ~queue_put_waiter() = default;

private:
    bool wait() noexcept;
    bool try_cancel() noexcept final { return at_->leave_putters(*this); }
};

class queue_get_waiter : public queue_waiter {
public:
    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }

protected:
    explicit queue_get_waiter(queue_core& at) noexcept : queue_waiter(at, nullptr) {}
    ~queue_get_waiter() = default;

private:
    bool wait() noexcept;
    bool try_cancel() noexcept final { return at_->leave_getters(*this); }
};

class queue_join_waiter final : public queue_waiter {
public:
    explicit queue_join_waiter(queue_core& at) noexcept : queue_waiter(at, nullptr) {}
    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const { check(); }

private:
    bool wait() noexcept;
    bool try_cancel() noexcept override { return at_->leave_joiners(*this); }
};

// A foreign thread's wait: blocks until the put or get is over. Throws usage_error on a worker.
// Returns false if the queue is closed. `item`: as queue_place::item.
bool block_on_put(queue_core& at, queue_node*& item);
bool block_on_get(queue_core& at, queue_node*& item);
[[noreturn]] void throw_queue_closed();
[[noreturn]] void throw_surplus_task_done();

} // namespace magpie::detail
