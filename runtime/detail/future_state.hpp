#pragma once

// What a promise and its future share: a block that the last of them to go frees.
//
//   pending --claim()--> claimed --publish()--> done
//           <--unclaim()--                           the value's constructor threw
//
//   claimed   one thread writes the result, alone and under no lock; everybody else who wants to set it is refused
//   done      the result does not change any more; who waits was unlinked, under the lock, and is told after it
//
// The waiters lie in tasks' frames, the gates on foreign threads' stacks. Whoever is told may drop the promise and the
// future at once, so the setter keeps a reference of its own until it is through.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/thread_gate.hpp>
#include <magpie/runtime/outcome.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace magpie::detail {

class future_state_base;

// A task that waits for a future.
class future_waiter : public waiter {
public:
    bool await_ready() const noexcept;
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    std::string describe() const final { return "future"; }

    list_hook hook;

protected:
    explicit future_waiter(future_state_base& state) noexcept : state_(&state) {}
    ~future_waiter() = default;

    // Throws if the wait was cancelled. The result counts as seen.
    void check() const;

private:
    bool wait() noexcept;
    bool try_cancel() noexcept final;

    future_state_base* state_;
};

class future_state_base {
public:
    future_state_base(future_state_base const&) = delete;
    future_state_base& operator=(future_state_base const&) = delete;

    void retain() noexcept { references_.fetch_add(1, mo_relaxed); }
    void release() noexcept;
    // Asked by who has a reference. False: nobody else has one, nor can get one.
    bool shared() const noexcept { return references_.load(mo_acquire) != 1; }  // pairs with release()

    [[nodiscard]] bool claim() noexcept;
    void unclaim() noexcept;
    void publish() noexcept;
    bool done() const noexcept { return phase_.load(mo_acquire) == phase::done; }  // pairs with publish()

    // Somebody has taken note of the result: an error needs no report.
    void look() noexcept { seen_.store(true, mo_relaxed); }
    // Blocks the calling thread until the result is there. Throws usage_error on a worker.
    void block();

protected:
    future_state_base() noexcept = default;
    ~future_state_base() = default;

    // Null unless the result is an error.
    virtual std::exception_ptr error() const noexcept = 0;
    virtual void destroy() noexcept = 0;

private:
    friend future_waiter;

    enum class phase : std::uint8_t { pending, claimed, done };
    // Links the waiter and publishes it as where its task waits, as one step for a canceller.
    enum class wait_result : std::uint8_t { waiting, done, refused };
    wait_result wait(future_waiter& by) noexcept;
    bool leave(future_waiter& by) noexcept;

    atomic<std::uint32_t> references_{1};
    atomic<phase> phase_{phase::pending};
    atomic<bool> seen_{false};
    spin_lock lock_;
    intrusive_list<future_waiter, &future_waiter::hook> waiters_;
    intrusive_queue<thread_gate> threads_;
};

inline bool future_waiter::await_ready() const noexcept {
    return state_->done();
}

template <class T>
class future_state final : public future_state_base, public recycled {
public:
    // Written by who has claimed it, read by everybody once it is done.
    outcome<T> result;

private:
    std::exception_ptr error() const noexcept override {
        return result.has_value() || result.cancelled() || result.empty() ? nullptr : result.error();
    }
    void destroy() noexcept override { delete this; }
};

// Counted reference to a state.
template <class T>
class future_ptr {
public:
    future_ptr() noexcept = default;
    // Takes over one reference.
    explicit future_ptr(future_state<T>* state) noexcept : state_(state) {}
    future_ptr(future_ptr const& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) {
            state_->retain();
        }
    }
    future_ptr(future_ptr&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    future_ptr& operator=(future_ptr other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~future_ptr() {
        if (state_ != nullptr) {
            state_->release();
        }
    }
    future_state<T>* operator->() const noexcept { return state_; }
    future_state<T>& operator*() const noexcept { return *state_; }
    explicit operator bool() const noexcept { return state_ != nullptr; }

private:
    future_state<T>* state_ = nullptr;
};

} // namespace magpie::detail
