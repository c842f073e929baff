#pragma once

#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

namespace magpie {

template <class T>
class task;

namespace detail {

template <class T>
class task_promise final : public task_promise_base<T> {
public:
    task<T> get_return_object() noexcept;

    template <class U = T>
        requires(!std::is_reference_v<T> && std::is_constructible_v<T, U &&>)
    void return_value(U&& value) {
        this->result_.set_value(std::forward<U>(value));
    }
    void return_value(T value)
        requires std::is_reference_v<T>
    {
        this->result_.set_value(&value);
    }
};

template <>
class task_promise<void> final : public task_promise_base<void> {
public:
    task<void> get_return_object() noexcept;
    void return_void() noexcept { result_.set_value(); }
};

// Gives up ownership of a task's frame to a record that will run it as a task of its own.
template <class T>
std::coroutine_handle<task_promise<T>> release_frame(task<T>&& from) noexcept;

} // namespace detail

// A lazy coroutine with one result: calling the function runs nothing; `co_await` runs it inline, in the awaiting
// task's turn (a frame, not a task of its own), and gives its value or rethrows. Move-only; awaited at most once.
// Destroying one that never ran destroys its arguments and runs nothing of it.
// Thread: one at a time; a task may be made on one thread and awaited on another.
template <class T = void>
class [[nodiscard("a task does nothing until it is awaited or spawned")]] task {
public:
    using promise_type = detail::task_promise<T>;
    using value_type = T;

    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            destroy();
            frame_ = std::exchange(other.frame_, nullptr);
        }
        return *this;
    }
    ~task() { destroy(); }

    // False for a task that was moved from.
    bool valid() const noexcept { return frame_ != nullptr; }

    // Runs the task inside the awaiting task. Its cancellation is the awaiting task's cancellation.
    auto operator co_await() && noexcept { return awaiter(frame_); }
    // What stands behind it is what compilers show.
    void operator co_await() & = delete;  // a task is awaited once: co_await std::move(t)

private:
    friend promise_type;
    template <class U>
    friend std::coroutine_handle<detail::task_promise<U>> detail::release_frame(task<U>&&) noexcept;

    using frame_handle = std::coroutine_handle<promise_type>;

    class awaiter {
    public:
        explicit awaiter(frame_handle frame) noexcept : frame_(frame) {}
        bool await_ready() const noexcept { return false; }
        template <detail::runnable_promise Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
            frame_.promise().run_within(awaiting, awaiting.promise().context());
            return frame_;
        }
        T await_resume() { return frame_.promise().result().get(); }

    private:
        frame_handle frame_;
    };

    explicit task(frame_handle frame) noexcept : frame_(frame) {}
    void destroy() noexcept {
        if (frame_) {
            frame_.destroy();
        }
    }

    frame_handle frame_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<task_promise<T>>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<task_promise<void>>::from_promise(*this));
}

template <class T>
std::coroutine_handle<task_promise<T>> release_frame(task<T>&& from) noexcept {
    return std::exchange(from.frame_, nullptr);
}

} // namespace detail
} // namespace magpie
