#pragma once

#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <coroutine>
#include <functional>
#include <type_traits>
#include <utility>

namespace magpie {

namespace detail {

template <class A>
concept has_member_co_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_co_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };

template <class A>
decltype(auto) awaiter_of(A&& a) {
    if constexpr (has_member_co_await<A>) {
        return std::forward<A>(a).operator co_await();
    } else if constexpr (has_free_co_await<A>) {
        return operator co_await(std::forward<A>(a));
    } else {
        return std::forward<A>(a);
    }
}

template <class A>
concept awaiter_in_a_task = requires(A& a, std::coroutine_handle<task_promise<void>> h) {
    a.await_ready() ? 1 : 0;
    a.await_suspend(h);
    a.await_resume();
};

} // namespace detail

// What can be awaited in a task: task<T>, what a combinator returns, a handle, a sleep, an I/O operation; every
// awaitable of this library. An lvalue `A&` satisfies it only if it may be awaited as an lvalue.
template <class A>
concept awaitable = requires(A&& a) { detail::awaiter_of(std::forward<A>(a)); } &&
                    detail::awaiter_in_a_task<std::remove_reference_t<decltype(detail::awaiter_of(std::declval<A>()))>>;

// What `co_await std::declval<A>()` gives.
template <awaitable A>
using await_result_t = decltype(std::declval<std::remove_reference_t<decltype(detail::awaiter_of(std::declval<A>()))>&>().await_resume());

namespace detail {

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

// What a call gives that a static_assert has refused: nothing more is said about it.
struct refused {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

template <class A>
task<await_result_t<A>> await_in_a_task(A a) {
    co_return co_await std::move(a);
}

// Any awaitable as a task: what spawn() and the combinators run. The awaitable is moved into the frame.
template <class A>
    requires awaitable<std::remove_cvref_t<A>>
auto as_task(A&& a) {
    using Plain = std::remove_cvref_t<A>;
    static_assert(!is_task<Plain> || std::is_constructible_v<Plain, A>,
                  "a task is awaited once: give it away with std::move");
    if constexpr (!std::is_constructible_v<Plain, A> && is_task<Plain>) {
        return Plain(std::move(const_cast<Plain&>(a)));  // refused above
    } else if constexpr (is_task<Plain>) {
        return Plain(std::forward<A>(a));
    } else {
        return await_in_a_task<Plain>(std::forward<A>(a));
    }
}

template <class Fn, class... Args>
concept task_function = std::invocable<Fn, Args...> && awaitable<std::invoke_result_t<Fn, Args...>>;

// `fn` and `args` live in this frame for as long as what fn returned runs: a lambda's captures are safe.
template <class Fn, class... Args>
task<await_result_t<std::invoke_result_t<Fn, Args...>>> invoke_in_a_task(Fn fn, Args... args) {
    co_return co_await std::invoke(std::move(fn), std::move(args)...);
}

} // namespace detail
} // namespace magpie
