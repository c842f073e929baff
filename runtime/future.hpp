#pragma once

#include <magpie/runtime/detail/future_state.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/outcome.hpp>

#include <concepts>
#include <exception>
#include <type_traits>
#include <utility>

namespace magpie {

template <class T = void>
class future;

namespace detail {

[[noreturn]] void throw_future_usage(char const* what);

// Whether a result of type T can be made from Args.
template <class T, class... Args>
concept makes_result = (std::is_void_v<T> && sizeof...(Args) == 0) || std::constructible_from<T, Args...>;

template <class T>
class taking_future_awaiter final : public future_waiter {
public:
    // Keeps the state while it waits: the future may be a temporary.
    explicit taking_future_awaiter(future_ptr<T> state) noexcept : future_waiter(*state), state_(std::move(state)) {}
    T await_resume() {
        check();
        return std::move(state_->result).value();
    }

private:
    future_ptr<T> state_;
};

template <class T>
class reading_future_awaiter final : public future_waiter {
public:
    explicit reading_future_awaiter(future_state<T>& state) noexcept : future_waiter(state), state_(&state) {}
    decltype(auto) await_resume() {
        check();
        return state_->result.value();
    }

private:
    future_state<T>* state_;
};

} // namespace detail

// The setting end of a future: how something that is no task of this library, a callback, a foreign thread, gives a
// result to tasks. Move-only. It is set once: the result is a value, an error, or that it was cancelled.
//
// All set_...() and try_set_...() may be called from any thread, also from several at once: exactly one sets. Who waits
// is queued, never run in here, and may destroy the promise while the setter has not returned. Under the simulated
// clock a runtime knows that a foreign thread will set a promise only if that thread has an outside_source.
template <class T = void>
class [[nodiscard]] promise {
public:
    promise() : state_(new detail::future_state<T>) {}
    promise(promise&&) noexcept = default;
    promise& operator=(promise&& other) noexcept {
        promise(std::move(other)).swap(*this);
        return *this;
    }
    // If it was not set, the future gets the error broken_promise.
    ~promise() {
        if (state_ && state_->shared() && state_->claim()) {
            state_->look();  // it is an error of the awaiter only
            state_->result.set_error(std::make_exception_ptr(broken_promise()));
            state_->publish();
        }
    }

    // Once; again, or on a promise that was moved from, throws usage_error.
    future<T> get_future() {
        if (!state_ || std::exchange(future_taken_, true)) {
            detail::throw_future_usage("get_future() was called twice, or on a promise that was moved from");
        }
        return future<T>(state_);
    }

    // Makes the value from the arguments. False: it is set already, or being set, and the arguments are untouched. If
    // the constructor throws, that passes on, and the promise is not set.
    template <class... Args>
        requires detail::makes_result<T, Args...>
    bool try_set_value(Args&&... args) {
        return set_if_pending([&](outcome<T>& result) { result.emplace(std::forward<Args>(args)...); });
    }
    // The error must not be null.
    bool try_set_error(std::exception_ptr error) {
        return set_if_pending([&](outcome<T>& result) { result.set_error(std::move(error)); });
    }
    // Who awaits the future gets child_cancelled.
    bool try_set_cancelled() {
        return set_if_pending([](outcome<T>& result) { result.set_cancelled(); });
    }

    // As above, but throw usage_error where those give false.
    template <class... Args>
        requires detail::makes_result<T, Args...>
    void set_value(Args&&... args) {
        require(try_set_value(std::forward<Args>(args)...));
    }
    void set_error(std::exception_ptr error) { require(try_set_error(std::move(error))); }
    void set_cancelled() { require(try_set_cancelled()); }

    // True once it was set and the result is there; still false while another thread is setting it.
    bool done() const noexcept { return state_ && state_->done(); }

private:
    template <class Set>
    bool set_if_pending(Set set) {
        if (!state_) {
            detail::throw_future_usage("a promise that was moved from cannot be set");
        }
        detail::future_ptr<T> const state = state_;
        if (!state->claim()) {
            return false;
        }
        try {
            set(state->result);
        } catch (...) {
            state->result.reset();
            state->unclaim();
            throw;
        }
        state->publish();
        return true;
    }
    static void require(bool was_set) {
        if (!was_set) {
            detail::throw_future_usage("a promise can be set only once; use try_set_...() if others may have done it");
        }
    }
    void swap(promise& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(future_taken_, other.future_taken_);
    }

    detail::future_ptr<T> state_;
    bool future_taken_ = false;
};

// A result that somebody else sets, through a promise. Move-only. As with a join_handle:
//   co_await std::move(f)   waits and moves the value out, or rethrows
//   co_await f              waits and gives T&, valid as long as the future lives; several tasks may do so
// Cancelling who awaits it ends that wait, and nothing else: the promise is still to be set, and may be awaited again.
// An error that nobody has awaited or read is reported to on_unhandled when both ends are gone (broken_promise is not).
template <class T>
class [[nodiscard]] future {
public:
    using value_type = T;

    // Of no promise: everything but valid() is an error.
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;

    // False if it was default-constructed or moved from.
    bool valid() const noexcept { return static_cast<bool>(state_); }
    // True once the promise was set, or destroyed. Any thread.
    bool done() const { return required().done(); }
    // The result. Throws usage_error if it is not there yet. Any thread. Counts as looking at an error.
    outcome<T> const& result() const {
        detail::future_state<T>& state = required();
        if (!state.done()) {
            detail::throw_future_usage("result() was called on a future that is not set; co_await it or ask done()");
        }
        state.look();
        return state.result;
    }
    // Blocks until the result is there: for threads that are no workers. Throws usage_error on a worker, and nothing of
    // the result's.
    void blocking_wait() const { required().block(); }

    auto operator co_await() & { return detail::reading_future_awaiter<T>(required()); }
    auto operator co_await() && {
        (void)required();
        return detail::taking_future_awaiter<T>(std::move(state_));
    }

private:
    friend class promise<T>;
    explicit future(detail::future_ptr<T> state) noexcept : state_(std::move(state)) {}

    detail::future_state<T>& required() const {
        if (!state_) {
            detail::throw_future_usage("a future that is empty, or was moved from, was used");
        }
        return *state_;
    }

    detail::future_ptr<T> state_;
};

} // namespace magpie
