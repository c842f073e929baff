#pragma once

// How a wait goes on: the task waits for the condition, then for the mutex.
//
//   waits for the condition --notify--> waits for the mutex --handed over--> over       wait() returns
//   waits for the condition --cancel--> waits for the mutex, interrupted --handed over--> over, throws
//   waits for the mutex     --cancel--> waits for the mutex, interrupted
//   over                    --cancel--> over: wait() returns, and the request stays pending
//
// The notifier itself moves the task to the mutex's queue, so that a notify_all() wakes one task at a time and not a
// herd; the queue of the mutex is left only with the mutex. An interrupted task that notify_one() or notify(n) had
// chosen has not used the notification: it passes it on.

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace magpie {

class condition_variable;

namespace detail {

// The mutex that the guard holds. Throws usage_error if it holds none.
mutex& mutex_held_by(mutex_guard const& guard);

class condition_awaiter final : public mutex_waiter {
public:
    condition_awaiter(condition_variable& at, mutex& held) noexcept
        : mutex_waiter("condition variable", held), at_(&at) {}

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    void await_resume() const;

private:
    friend condition_variable;

    enum class notice : std::uint8_t { none, chosen, everybody };

    // True: the task is suspended, and the mutex let go. False: a request is pending.
    bool wait() noexcept;
    void go_for_mutex() noexcept;
    bool try_cancel() noexcept override;

    condition_variable* at_;
    // Under the condition variable's lock:
    bool listed_ = false;            // waits for the condition
    notice notice_ = notice::none;   // who told it
    // Under the mutex's lock:
    bool interrupted_ = false;       // a request came before the mutex did
};

} // namespace detail

class [[nodiscard("co_await it")]] condition_wait_awaitable {
public:
    condition_wait_awaitable(condition_variable& at, mutex& held) noexcept : at_(&at), mutex_(&held) {}
    detail::condition_awaiter operator co_await() const noexcept { return {*at_, *mutex_}; }

private:
    condition_variable* at_;
    mutex* mutex_;
};

// Where tasks that hold a mutex wait until something they can see under it has changed. It belongs to no mutex: the
// guard says which one is let go and taken again. Whoever changes the state holds the mutex; notify_...() may be called
// with or without it, from any thread. It must not be destroyed before all calls of wait() have returned.
class condition_variable {
public:
    condition_variable() noexcept : word_(0) {}
    condition_variable(condition_variable const&) = delete;
    condition_variable& operator=(condition_variable const&) = delete;
    ~condition_variable();

    // Lets the guard's mutex go, waits until somebody notifies, and takes the mutex again: the guard holds it whenever
    // this returns or throws; it must not be moved or unlocked meanwhile. Throws usage_error if it holds no mutex.
    //
    // Ask again for what you wait for, or give a predicate: it may have changed before the mutex came back, and a task
    // may be notified without a reason.
    //
    // Cancelling ends the wait; the mutex is taken again first, which cannot be cancelled, and a notification that
    // had chosen this task goes to the next one. Once the task has the mutex wait() returns; a request stays pending.
    condition_wait_awaitable wait(mutex_guard const& guard) { return {*this, detail::mutex_held_by(guard)}; }

    // Waits until pred(args...) is true; it is called with the mutex held only. Does not wait at all if it is true
    // already. What it throws passes on. `pred` and `args` are moved into the wait; otherwise as above.
    template <class Pred, class... Args>
        requires std::predicate<Pred&, Args&...>
    task<> wait(mutex_guard const& guard, Pred pred, Args... args) {
        return wait_until(detail::mutex_held_by(guard), std::move(pred), std::move(args)...);
    }

    // Notifies the task that waits longest; nothing happens, and nothing is remembered, if nobody waits. It goes on
    // once it has the mutex, for which it queues behind those who wait for it already. Any thread.
    void notify_one() noexcept { notify(1); }
    // The n tasks that wait longest, or all if there are fewer, in that order.
    void notify(std::size_t n) noexcept;
    void notify_all() noexcept;

    // How many tasks wait to be notified: for people. Takes as long as there are.
    std::size_t waiting() const noexcept;

private:
    friend detail::condition_awaiter;

    template <class Pred, class... Args>
    task<> wait_until(mutex& held, Pred pred, Args... args) {
        while (!std::invoke(pred, args...)) {
            co_await condition_wait_awaitable(*this, held);
        }
    }
    void notify(std::size_t most, detail::condition_awaiter::notice why) noexcept;

    mutable detail::locked_word word_;  // the lock, and nothing else
    detail::wait_list waiters_;
};

} // namespace magpie
