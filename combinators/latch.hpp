#pragma once

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/thread_gate.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace magpie {

class latch;

namespace detail {

class latch_awaiter final : public listed_waiter {
public:
    latch_awaiter(latch& at, std::ptrdiff_t arrivals) noexcept
        : listed_waiter("latch"), at_(&at), arrivals_(arrivals) {}

    bool await_ready() const noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    void await_resume() const;

private:
    // Counts the arrivals down. True: the task is suspended. False: the count is 0, or a request is pending.
    bool wait();
    bool try_cancel() noexcept override;

    latch* at_;
    std::ptrdiff_t arrivals_;
};

} // namespace detail

class [[nodiscard("co_await it")]] latch_wait_awaitable {
public:
    latch_wait_awaitable(latch& at, std::ptrdiff_t arrivals) noexcept : at_(&at), arrivals_(arrivals) {}
    detail::latch_awaiter operator co_await() const noexcept { return {*at_, arrivals_}; }

private:
    latch* at_;
    std::ptrdiff_t arrivals_;
};

// A count that goes down to 0, once; tasks and threads wait for that. All members but wait() and arrive_and_wait() may
// be called from any thread, and blocking_wait() from those that are no workers. It may be destroyed as soon as some
// wait has returned because the count was 0, also while the count_down() that did it has not returned yet; nobody may
// wait at it then.
class latch {
public:
    // Throws std::invalid_argument if n < 0. With 0 nobody ever waits.
    explicit latch(std::ptrdiff_t n);
    latch(latch const&) = delete;
    latch& operator=(latch const&) = delete;
    ~latch();

    // Takes n off the count. At 0 all who wait are queued, in the order in which they came; nobody is run in here.
    // Throws std::invalid_argument if n < 0, usage_error, and changes nothing, if n is more than the count.
    void count_down(std::ptrdiff_t n = 1);

    // True if the count is 0.
    bool try_wait() const noexcept { return count() == 0; }
    // The count. A hint unless it is 0: it may go down at once.
    std::ptrdiff_t count() const noexcept { return static_cast<std::ptrdiff_t>(word_.load() >> count_shift); }

    // Waits until the count is 0; does not suspend if it is. Cancelling ends the wait.
    latch_wait_awaitable wait() noexcept { return {*this, 0}; }
    // count_down(n) when it is awaited, then wait(). Cancelling ends the wait; what was counted stays counted, also if
    // the request was pending before.
    latch_wait_awaitable arrive_and_wait(std::ptrdiff_t n = 1) noexcept { return {*this, n}; }
    // As wait(), for threads that are no workers: it blocks. Throws usage_error on a worker.
    void blocking_wait();

private:
    friend detail::latch_awaiter;

    //   the word:  | count 63 | lock 1 |     the lists are empty once the count is 0
    //
    // A count_down() that leaves something is one compare-exchange. The one that brings the count to 0 does it under
    // the lock, with the lists in hand.
    static constexpr unsigned count_shift = 1;
    static std::uint64_t first_word(std::ptrdiff_t n);
    void require_left(std::uint64_t less, std::uint64_t seen);
    void open_and_unlock() noexcept;

    mutable detail::locked_word word_;
    detail::wait_list waiters_;
    detail::intrusive_queue<detail::thread_gate> threads_;
};

} // namespace magpie
