#pragma once

#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <utility>

namespace magpie::detail {

// The awaiter of an awaitable that is a coroutine inside: owns the coroutine while it runs in the awaiting task.
template <class T>
class task_awaiter {
public:
    explicit task_awaiter(task<T>&& body) noexcept
        : body_(std::move(body)), inner_(std::move(body_).operator co_await()) {}
    task_awaiter(task_awaiter const&) = delete;
    task_awaiter& operator=(task_awaiter const&) = delete;

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
        return inner_.await_suspend(awaiting);
    }
    T await_resume() { return inner_.await_resume(); }

private:
    task<T> body_;
    decltype(std::declval<task<T>>().operator co_await()) inner_;
};

} // namespace magpie::detail
