#pragma once

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <cstddef>

namespace magpie {

class event;

namespace detail {

class event_awaiter final : public listed_waiter {
public:
    explicit event_awaiter(event& e) noexcept : listed_waiter("event"), event_(&e) {}

    bool await_ready() const noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    void await_resume() const;

private:
    // True: the task is suspended. False: the event is set, or a request is pending.
    bool wait();
    bool try_cancel() noexcept override;

    event* event_;
};

} // namespace detail

class [[nodiscard("co_await it")]] event_wait_awaitable {
public:
    explicit event_wait_awaitable(event& e) noexcept : event_(&e) {}
    detail::event_awaiter operator co_await() const noexcept { return detail::event_awaiter(*event_); }

private:
    event* event_;
};

// A flag that tasks can wait for. All members may be called from any thread. It may be destroyed as soon as some wait()
// has returned by a set(), also while that set() has not returned yet; nobody may wait for it then.
class event {
public:
    event() noexcept : word_(0) {}
    event(event const&) = delete;
    event& operator=(event const&) = delete;
    ~event();

    // Sets the flag and wakes everybody who waits, in the order in which they came. They are queued, not run in here.
    void set() noexcept;
    // Takes the flag back. Who was woken before is not affected: set() followed by clear() wakes all who waited.
    void clear() noexcept;
    bool is_set() const noexcept { return (word_.load() & set_bit) != 0; }

    // Waits until the flag is set; does not suspend if it is. Cancelling ends the wait.
    event_wait_awaitable wait() noexcept { return event_wait_awaitable(*this); }
    // How many tasks wait: for people. Takes as long as there are.
    std::size_t waiting() const noexcept;

private:
    friend detail::event_awaiter;

    //   the word:  | set 1 | lock 1 |     the list is empty while the event is set
    static constexpr std::uint64_t set_bit = 2;

    mutable detail::locked_word word_;
    detail::wait_list waiters_;
};

inline bool detail::event_awaiter::await_ready() const noexcept {
    return event_->is_set();
}

} // namespace magpie
