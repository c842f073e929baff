#pragma once

// Children that are started one by one while others run, at most so many at a time.
//
// Unlike a fork_join, whose children are all known when it begins, a child_set is fed by its parent, which is resumed
// whenever somebody has ended. The parent alone starts children, takes back the ended ones and asks them to end; a
// canceller does the latter only while the parent is suspended in some_ended(), where it cannot touch the records.
//
//   ended_    children that have ended and that the parent has not taken back, under the lock
//   waiter_   the parent, suspended in some_ended(), under the lock: whoever puts the next child into ended_ wakes it
//
// A request stays pending in the parent's word until the set is empty, so each wait in some_ended() would pass it on
// again. It is passed on only if the parent's count of requests has grown since the last time (requests_).
//
// A child's last touch of the set is the unlocking after it put itself into ended_.

#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <coroutine>
#include <cstddef>
#include <string>

namespace magpie::detail {

class child_set {
public:
    // A child's record: it lies where the parent wants it, until the parent has taken it back.
    class child : public task_context {
    public:
        explicit child(finish_fn at_end) noexcept : task_context(at_end) {}
        child_set* set = nullptr;
    };

    child_set(child_set const&) = delete;
    child_set& operator=(child_set const&) = delete;

    // The parent only.

    // Queues the child, whose frame is in place.
    void start(task_context& parent, child& each) noexcept;
    // The same for one that is to end: it is asked to before it begins.
    void start_asked(task_context& parent, child& each) noexcept;
    // Passes a request that is pending in the parent on to the children now, and not at the next some_ended().
    void pass_on_requests(task_context const& parent) noexcept;
    // A child that has ended, in the order of the ends, or null.
    child* take_ended() noexcept;
    // Children that were started and not yet taken back.
    std::size_t live() const noexcept { return live_; }
    // The parent's own cancellation was passed on to a child, and one took it.
    bool request_accepted() const noexcept {
        return accepted_.load(mo_acquire);
    }  // pairs with the release in request()

    class some_ended_awaiter;
    // `co_await some_ended()` goes on when take_ended() would give one. It throws nothing: a request to cancel the
    // parent is passed on to the children.
    some_ended_awaiter some_ended() noexcept;

    // The child has ended and its record tells how: the last thing it does.
    void ended(child& each) noexcept;

protected:
    explicit child_set(task_context const& parent) noexcept : requests_(parent.cancel_count()) {}
    ~child_set() = default;

    // Requests the cancellation of every child that runs. True if one took it.
    virtual bool request_all() noexcept = 0;

private:
    void adopt(task_context& parent, child& each) noexcept;
    void pass_on(unsigned count) noexcept;

    spin_lock lock_;
    intrusive_queue<work_item> ended_;
    waiter* waiter_ = nullptr;
    std::size_t live_ = 0;
    unsigned requests_;  // how many of the parent's requests the children know of
    atomic<bool> accepted_{false};
};

class child_set::some_ended_awaiter final : public waiter {
public:
    explicit some_ended_awaiter(child_set& set) noexcept : set_(set) {}

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
    std::string describe() const override { return "its children"; }

    child_set& set_;
};

inline child_set::some_ended_awaiter child_set::some_ended() noexcept {
    return some_ended_awaiter(*this);
}

}  // namespace magpie::detail
