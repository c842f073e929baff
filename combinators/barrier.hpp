#pragma once

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace magpie {

class barrier;

namespace detail {

class barrier_awaiter final : public listed_waiter {
public:
    explicit barrier_awaiter(barrier& at) noexcept : listed_waiter("barrier"), at_(&at) {}

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return arrive();
    }
    std::size_t await_resume() const;

private:
    friend barrier;

    enum class end : std::uint8_t { none, passed, broken };

    // True: the task is suspended. False: it has passed, the barrier is broken, or a request is pending.
    bool arrive() noexcept;
    bool try_cancel() noexcept override;

    barrier* at_;
    std::size_t index_ = 0;  // index_ and how_: under the barrier's lock while the task waits
    end how_ = end::none;
};

} // namespace detail

class [[nodiscard("co_await it")]] barrier_arrive_awaitable {
public:
    explicit barrier_arrive_awaitable(barrier& at) noexcept : at_(&at) {}
    detail::barrier_awaiter operator co_await() const noexcept { return detail::barrier_awaiter(*at_); }

private:
    barrier* at_;
};

// Where n tasks wait for each other, round after round: the n-th to arrive lets all of them go on, as one step, and the
// next round begins. A task that is through and arrives again belongs to the next round, however late the others of its
// own round go on. It may be destroyed as soon as one task of a round is through, also while the others of that round
// have yet to resume; nobody may wait at it then.
class barrier {
public:
    // Throws std::invalid_argument if n < 1.
    explicit barrier(std::ptrdiff_t n);
    barrier(barrier const&) = delete;
    barrier& operator=(barrier const&) = delete;
    ~barrier();

    // Waits until n tasks have arrived in this round; the last one does not suspend. Gives each of them another index,
    // from 0 to n - 1, in the order of arrival: `if (co_await b.arrive_and_wait() == 0)` picks one for what is to be
    // done once. Throws broken_barrier if the barrier is broken, or as soon as it is broken or reset.
    //
    // Cancelling takes the arrival back: the barrier is not broken, and another task may come in this one's place. A
    // task that was let through before the request came goes on, and the request stays pending.
    barrier_arrive_awaitable arrive_and_wait() noexcept { return barrier_arrive_awaitable(*this); }

    // Breaks it: who waits gets broken_barrier, and so does who arrives, until reset(). Any thread.
    void abort() noexcept;
    // A new round: who waits gets broken_barrier; the barrier is as new. Any thread.
    void reset() noexcept;
    bool broken() const noexcept { return (word_.load() & broken_bit) != 0; }

    // n, as given to the constructor.
    std::size_t parties() const noexcept { return parties_; }
    // How many wait in this round, from 0 to n - 1. A hint: it may change at once.
    std::size_t waiting() const noexcept;

private:
    friend detail::barrier_awaiter;

    //   the word:  | broken 1 | lock 1 |     nobody waits while it is broken
    static constexpr std::uint64_t broken_bit = 2;

    // Under the lock, which it lets go: ends the round for those who wait.
    void end_round(detail::barrier_awaiter::end how, std::uint64_t then) noexcept;

    mutable detail::locked_word word_;
    std::size_t parties_;
    std::size_t waiting_ = 0;  // under the lock
    detail::wait_list waiters_;
};

} // namespace magpie
