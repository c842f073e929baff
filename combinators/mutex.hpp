#pragma once

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/wait_list.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace magpie {

class mutex;
class mutex_guard;

namespace detail {

class condition_awaiter;

// A task that is to have a mutex: in lock(), and at the end of condition_variable::wait().
class mutex_waiter : public listed_waiter {
protected:
    mutex_waiter(char const* what, mutex& m) noexcept : listed_waiter(what), mutex_(&m) {}
    ~mutex_waiter() = default;

    mutex* mutex_;
    bool owned_ = false;  // written under the mutex's lock while the task waits

private:
    friend mutex;
};

class mutex_awaiter final : public mutex_waiter {
public:
    explicit mutex_awaiter(mutex& m) noexcept : mutex_waiter("mutex", m) {}

    bool await_ready() noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    [[nodiscard]] mutex_guard await_resume();

private:
    // True: the task is suspended. False: it has the lock, or a request is pending.
    bool wait();
    bool try_cancel() noexcept override;
};

} // namespace detail

// Holds a mutex; its destructor unlocks it. Move-only. What waits next is queued, never run inside the unlock.
class [[nodiscard("the mutex is unlocked at once if nobody keeps the guard")]] mutex_guard {
public:
    mutex_guard() noexcept = default;
    mutex_guard(mutex_guard&& other) noexcept : mutex_(other.hand_over()) {}
    mutex_guard& operator=(mutex_guard&& other) noexcept;
    ~mutex_guard();

    // False for an empty guard: try_lock() failed, or it was moved from, unlocked or released.
    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    // Unlocks now. Throws usage_error if the guard is empty.
    void unlock();
    // Gives the mutex up without unlocking it: somebody calls mutex::unlock() later. Null if the guard is empty.
    mutex* release() noexcept { return hand_over(); }
    // The mutex, or null.
    mutex* owner() const noexcept { return mutex_; }

private:
    friend mutex;
    friend detail::mutex_awaiter;
    explicit mutex_guard(mutex* held) noexcept : mutex_(held) {}
    mutex* hand_over() noexcept;

    mutex* mutex_ = nullptr;
};

class [[nodiscard("co_await it")]] mutex_lock_awaitable {
public:
    explicit mutex_lock_awaitable(mutex& m) noexcept : mutex_(&m) {}
    detail::mutex_awaiter operator co_await() const noexcept { return detail::mutex_awaiter(*mutex_); }

private:
    mutex* mutex_;
};

// Mutual exclusion between tasks, held across co_awaits. Strictly first come, first served: an unlock hands the mutex
// over to the task that waits longest, and nobody overtakes. A task that finds it held by one that is running on
// another worker, with nobody waiting, looks for some microseconds (60 at most) before it waits itself. The owner is
// the task, not the thread: it may be unlocked on another worker than it was locked on.
// Not recursive: a task that locks what it holds gets usage_error (if the guard has stayed where lock() put it; a guard
// that was moved may belong to another task by now, and then the wait is a real one).
// Any thread may try_lock() and unlock. Nobody may wait for it when it is destroyed.
class mutex {
public:
    mutex() noexcept : word_(unlocked) {}
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;
    ~mutex();

    // `auto guard = co_await m.lock()`. Does not suspend if the mutex is free. Cancelling leaves the queue; a task to
    // which the mutex was handed before the request came gets it, and the request stays pending.
    mutex_lock_awaitable lock() noexcept { return mutex_lock_awaitable(*this); }

    // An empty guard if the mutex is held.
    mutex_guard try_lock() noexcept {
        return mutex_guard(try_own(detail::current_context()) ? this : nullptr);
    }

    // For whoever holds it through a released guard. Throws usage_error if the mutex is not locked.
    void unlock();

    // A hint: it may have changed when this returns.
    bool locked() const noexcept { return (word_.load() & ~waiting_bit) != unlocked; }
    // How many tasks wait: for people. Takes as long as there are.
    std::size_t waiting() const noexcept;

private:
    friend mutex_guard;
    friend detail::mutex_awaiter;
    friend detail::condition_awaiter;

    //   the word:  | owner: address of its task_context / 8, or unknown_owner | waiting 1 | lock 1 |
    //
    //   waiting is set while the list is not empty, and only in a locked mutex. It is changed under the lock bit.
    static constexpr std::uint64_t unlocked = 0;
    static constexpr std::uint64_t waiting_bit = 2;
    static constexpr std::uint64_t unknown_owner = 4;  // a foreign thread, or whoever a guard was moved to

    static std::uint64_t owner_word(detail::task_context const* task) noexcept {
        return task == nullptr ? unknown_owner : reinterpret_cast<std::uintptr_t>(task);
    }
    // Only to be compared: the task may be gone. Null or no task's address for unknown_owner.
    static void const* owner_in(std::uint64_t word) noexcept {
        return reinterpret_cast<void const*>(static_cast<std::uintptr_t>(word & ~std::uint64_t{7}));
    }
    bool try_own(detail::task_context const* task) noexcept {
        std::uint64_t seen = word_.load();
        return seen == unlocked && word_.try_change(seen, owner_word(task));
    }
    // For a task that found the mutex held. True: it has it now.
    bool own_soon(detail::task_context const* task) noexcept;
    void unlock_held() noexcept {
        std::uint64_t seen = word_.load();
        if ((seen & (waiting_bit | detail::locked_word::lock_bit)) != 0 || !word_.try_change(seen, unlocked)) {
            hand_on();
        }
    }
    void hand_on() noexcept;
    void forget_owner() noexcept;
    // For a suspended task that must have the mutex. True: it has it now, and the caller ends its wait. False: it is
    // linked, and whoever hands the mutex to it does.
    [[nodiscard]] bool own_or_link(detail::mutex_waiter& by) noexcept;

    static constexpr std::uint8_t most_looks = 64;  // a power of two

    mutable detail::locked_word word_;
    detail::wait_list waiters_;
    detail::atomic<std::uint8_t> patience_{most_looks};  // how often own_soon() looks: a hint
};

inline mutex_guard::~mutex_guard() {
    if (mutex_ != nullptr) {
        mutex_->unlock_held();
    }
}

inline bool detail::mutex_awaiter::await_ready() noexcept {
    // No look at the task's budget: a holder that gave its turn up in here would make everybody else queue behind it.
    owned_ = mutex_->try_own(current_context());
    return owned_;
}

} // namespace magpie
