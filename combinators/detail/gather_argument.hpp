#pragma once

// What each kind of argument becomes when it is gathered: a task that runs as a child.

#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <ranges>
#include <type_traits>
#include <utility>

namespace magpie {
template <class A>
class timeout_awaitable;
}

namespace magpie::detail {

template <class T>
std::type_identity<T> unique_handle_value(join_handle<T> const*);
template <class T>
std::type_identity<T> shared_handle_value(shared_handle<T> const*);

// join_handle, and what derives from it.
template <class H>
concept unique_handle = requires(std::remove_cvref_t<H> const* h) { detail::unique_handle_value(h); };
template <class H>
concept shared_task_handle = requires(std::remove_cvref_t<H> const* h) { detail::shared_handle_value(h); };
template <class H>
concept task_handle = unique_handle<H> || shared_task_handle<H>;

// Awaits a task that runs already, and is its only owner.
template <class A>
inline constexpr bool joins_task = unique_handle<A>;
template <class A>
inline constexpr bool joins_task<timeout_awaitable<A>> = joins_task<std::remove_cvref_t<A>>;

template <class A>
inline constexpr bool is_lvalue_task = std::is_lvalue_reference_v<A> && is_task<std::remove_cvref_t<A>>;

// `A` as deduced for a forwarding reference: an lvalue handle, or anything awaitable that can be moved or copied here.
template <class A>
concept gatherable = is_lvalue_task<A> || task_handle<A> ||
                     (awaitable<std::remove_cvref_t<A>> && std::constructible_from<std::remove_cvref_t<A>, A>);

// The task behind an lvalue handle: its value stays where it is. `H` is a reference, or a shared handle's copy.
template <class H>
task<await_result_t<H&>> await_in_place(H handle) {
    co_return co_await handle;
}

// A shared handle's value is copied out: the handle may be the last one.
template <class H>
task<std::remove_cvref_t<await_result_t<H const&>>> await_copy(H handle) {
    co_return co_await handle;
}

// For outcomes: a copy of the value; a task that was cancelled shows as cancelled.
template <class H, class T>
task<T> await_settled(H handle) {
    handle_ref const awaited = handle.ref();
    try {
        if constexpr (std::is_lvalue_reference_v<H> || shared_task_handle<H>) {
            co_return co_await handle;
        } else {
            co_return co_await std::move(handle);
        }
    } catch (child_cancelled const&) {
        if (!awaited.cancelled()) {
            throw;
        }
    }
    throw task_cancelled();
}

// A child that awaits a task which runs already: cancelled before its first step it still cancels that task, and joins it.
template <class T>
task<T> begins_in_any_case(task<T> awaits_a_handle) {
    auto& promise = release_frame(std::move(awaits_a_handle)).promise();
    promise.begin_in_any_case();
    return promise.get_return_object();
}

template <bool Settled, class A>
auto as_child(A&& a) {
    using plain = std::remove_cvref_t<A>;
    static_assert(!is_lvalue_task<A>, "a task is awaited once: std::move it into gather, or the range that holds it");
    if constexpr (Settled && task_handle<A>) {
        using value = typename plain::value_type;
        using held = std::conditional_t<unique_handle<A> && std::is_lvalue_reference_v<A>, plain&, plain>;
        return begins_in_any_case(await_settled<held, value>(std::forward<A>(a)));
    } else if constexpr (unique_handle<A> && std::is_lvalue_reference_v<A>) {
        return begins_in_any_case(await_in_place<plain&>(a));
    } else if constexpr (shared_task_handle<A>) {
        if constexpr (std::is_lvalue_reference_v<A>) {
            return await_in_place<plain>(a);
        } else {
            return await_copy<plain>(std::forward<A>(a));
        }
    } else if constexpr (joins_task<plain>) {
        return begins_in_any_case(as_task(std::forward<A>(a)));
    } else {
        return as_task(std::forward<A>(a));
    }
}

template <class Task>
inline constexpr bool always_false = false;
template <class Task>
struct task_value;
template <class T>
struct task_value<task<T>> {
    using type = T;
};

template <bool Settled, class A>
using child_value_t = typename task_value<decltype(detail::as_child<Settled>(std::declval<A>()))>::type;

// How a range gives its elements: those of a container that was moved in are moved out of it.
template <class R>
using range_argument_t =
    std::conditional_t<!std::is_reference_v<R> && !std::ranges::view<std::remove_cvref_t<R>>,
                       std::ranges::range_rvalue_reference_t<R>, std::ranges::range_reference_t<R>>;

template <class R>
concept gatherable_range =
    std::ranges::input_range<R> && !awaitable<std::remove_cvref_t<R>> && gatherable<range_argument_t<R>>;

// A range of tasks that run already and are there before they are read: a container, a view of one. Not a view that makes
// them as it is read.
template <class R>
inline constexpr bool holds_handles = false;
template <gatherable_range R>
    requires(std::ranges::forward_range<R> && std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>)
inline constexpr bool holds_handles<R> = joins_task<std::remove_cvref_t<range_argument_t<R>>>;

// A container of such tasks, moved in with them: nobody else will join those that have had no turn.
template <class R>
inline constexpr bool owns_handles = false;
template <gatherable_range R>
    requires(!std::is_reference_v<R> && !std::ranges::view<R>)
inline constexpr bool owns_handles<R> = holds_handles<R>;

}  // namespace magpie::detail
