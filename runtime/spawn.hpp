#pragma once

#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/join_handle.hpp>

#include <type_traits>
#include <utility>

namespace magpie {

namespace detail {

template <class T>
join_handle<T> spawn_in(scheduler& where, task<T>&& body, spawn_options const& options) {
    return join_handle<T>(record_ptr<spawned<T>>(&start_task(where, std::move(body), options)));
}

template <class Fn, class... Args>
auto as_task_of(Fn&& fn, Args&&... args) {
    return invoke_in_a_task<std::decay_t<Fn>, std::decay_t<Args>...>(std::forward<Fn>(fn), std::forward<Args>(args)...);
}

} // namespace detail

// Starts a task in the current runtime and returns its handle. The task is queued, never run inline (unless
// options.eager), and is owned by the runtime: it goes on when the handle is dropped. Only on a worker: throws
// usage_error elsewhere (use rt.spawn()) and while the runtime shuts down; the awaitable is destroyed un-started then.
// Cancelling the caller does not cancel the task.
template <class A>
    requires awaitable<std::remove_cvref_t<A>>
[[nodiscard]] auto spawn(A&& a, spawn_options options = {}) {
    return detail::spawn_in(detail::required_scheduler("spawn"), detail::as_task(std::forward<A>(a)), options);
}

// The same for what fn(args...) returns. fn and args are moved into the task: lambdas with captures are safe.
template <class Fn>
    requires detail::task_function<std::decay_t<Fn>>
[[nodiscard]] auto spawn(Fn&& fn, spawn_options options = {}) {
    return detail::spawn_in(detail::required_scheduler("spawn"), detail::as_task_of(std::forward<Fn>(fn)), options);
}
template <class Fn, class... Args>
    requires detail::task_function<std::decay_t<Fn>, std::decay_t<Args>...>
[[nodiscard]] auto spawn(spawn_options options, Fn&& fn, Args&&... args) {
    return detail::spawn_in(detail::required_scheduler("spawn"),
                            detail::as_task_of(std::forward<Fn>(fn), std::forward<Args>(args)...), options);
}
template <class Fn, class First, class... Rest>
    requires(detail::task_function<std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>)
[[nodiscard]] auto spawn(Fn&& fn, First&& first, Rest&&... rest) {
    return spawn(spawn_options{.where = {}}, std::forward<Fn>(fn), std::forward<First>(first),
                 std::forward<Rest>(rest)...);
}

// spawn() without a handle: nobody awaits the task, and an error is reported when it ends.
template <class A>
    requires awaitable<std::remove_cvref_t<A>>
void spawn_detached(A&& a, spawn_options options = {}) {
    spawn(std::forward<A>(a), options).detach();
}
template <class Fn>
    requires detail::task_function<std::decay_t<Fn>>
void spawn_detached(Fn&& fn, spawn_options options = {}) {
    spawn(std::forward<Fn>(fn), options).detach();
}
template <class Fn, class... Args>
    requires detail::task_function<std::decay_t<Fn>, std::decay_t<Args>...>
void spawn_detached(spawn_options options, Fn&& fn, Args&&... args) {
    spawn(options, std::forward<Fn>(fn), std::forward<Args>(args)...).detach();
}
template <class Fn, class First, class... Rest>
    requires(detail::task_function<std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>)
void spawn_detached(Fn&& fn, First&& first, Rest&&... rest) {
    spawn(std::forward<Fn>(fn), std::forward<First>(first), std::forward<Rest>(rest)...).detach();
}

} // namespace magpie
