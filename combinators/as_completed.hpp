#pragma once

#include <magpie/combinators/detail/completed_stream.hpp>
#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

// How as_completed() runs its tasks. All members are optional.
struct as_completed_options {
    // The most tasks that have been begun and whose results were not yet asked for; 0: all at once. With a limit the next
    // task is made (taken from the range) when a result was handed over, so the consumer's pace is the pace of all.
    std::size_t limit = 0;
    std::optional<duration> timeout{};  // for the whole stream, from the co_await
};

// How as_completed() waits for the caller's tasks.
struct completed_handles_options {
    std::optional<duration> timeout{};  // for the whole stream, from the first next()
};

static_assert(std::is_trivially_destructible_v<as_completed_options> &&
              std::is_trivially_destructible_v<completed_handles_options>);

namespace detail {

template <class Stream, class Fn, class... Args>
concept completed_body =
    std::invocable<Fn, Stream&, Args...> && awaitable<std::invoke_result_t<Fn, Stream&, Args...>>;

struct as_completed_access {
    template <class R, class T, class Fn, class... Args>
    static task<T> run(as_completed_options options, R range, Fn fn, Args... args) {
        task_context& parent = *current_context();
        completed_tasks<R> stream(parent, std::forward<R>(range), options.limit);
        if (options.timeout) {
            stream.set_deadline(deadline_in(*options.timeout));
        }
        stream.feed();
        std::optional<stored_t<T>> result;
        std::exception_ptr error;
        try {
            if constexpr (std::is_void_v<T>) {
                co_await std::invoke(std::move(fn), stream, std::move(args)...);
            } else if constexpr (std::is_reference_v<T>) {
                T value = co_await std::invoke(std::move(fn), stream, std::move(args)...);
                result.emplace(std::addressof(value));
            } else {
                result.emplace(co_await std::invoke(std::move(fn), stream, std::move(args)...));
            }
        } catch (...) {
            error = std::current_exception();
        }
        stream.abandon(parent);
        co_await stream.all_ended();
        stream.drop_rest("as_completed: nobody asked for the result of a task that failed");
        if (error) {
            std::rethrow_exception(std::move(error));
        }
        if constexpr (!std::is_void_v<T>) {
            co_return unstore<T>(std::move(*result));
        }
    }

    template <class R, class Fn, class... Args>
    static auto make(as_completed_options const& options, R&& range, Fn&& fn, Args&&... args) {
        using result =
            await_result_t<std::invoke_result_t<std::decay_t<Fn>, completed_tasks<R>&, std::decay_t<Args>...>>;
        return run<R, result, std::decay_t<Fn>, std::decay_t<Args>...>(
            options, std::forward<R>(range), std::forward<Fn>(fn), std::forward<Args>(args)...);
    }
};

}  // namespace detail

// Runs the tasks of a range, and a body that is given their results in the order in which they end:
//
//   co_await as_completed(std::move(tasks), [&](auto& s) -> task<> {
//       while (auto item = co_await s.next()) use(item->index, item->get()); }, {.limit = 8, .timeout = 2s});
//
// The range: as gather() takes it. The body, fn(stream, args...), runs in the awaiting task; as_completed gives what it
// gives and throws what it throws. However it is left, by its end, in the middle, by an error or a cancellation, every
// task that still runs is cancelled and has ended before as_completed returns; tasks that have not begun never begin. A
// result that nobody asked for is destroyed, an error goes to on_suppressed. fn, the arguments and what is left of the
// range live until then; tasks must not refer to the body's own variables.
//
// A task's error is thrown by its item's get(), and nowhere else: nothing is cancelled by it. When the time is up next()
// throws timeout_error, after it has given what had ended before.
//
// Cancelling who awaits cancels the body, where it waits, and then the tasks. A request that comes while they unwind is
// passed on to them and stays pending.
template <class R, class Fn>
    requires(detail::gatherable_range<R> && detail::completed_body<completed_tasks<R>, std::decay_t<Fn>>)
auto as_completed(R&& range, Fn&& fn, as_completed_options options = {}) {
    return detail::as_completed_access::make(options, std::forward<R>(range), std::forward<Fn>(fn));
}
template <class R, class Fn, class... Args>
    requires(detail::gatherable_range<R> &&
             detail::completed_body<completed_tasks<R>, std::decay_t<Fn>, std::decay_t<Args>...>)
auto as_completed(as_completed_options options, R&& range, Fn&& fn, Args&&... args) {
    return detail::as_completed_access::make(options, std::forward<R>(range), std::forward<Fn>(fn),
                                             std::forward<Args>(args)...);
}
template <class R, class Fn, class First, class... Rest>
    requires(detail::gatherable_range<R> &&
             detail::completed_body<completed_tasks<R>, std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>)
auto as_completed(R&& range, Fn&& fn, First&& first, Rest&&... rest) {
    return detail::as_completed_access::make(as_completed_options{}, std::forward<R>(range), std::forward<Fn>(fn),
                                             std::forward<First>(first), std::forward<Rest>(rest)...);
}

// The same over tasks that run already, and stay the caller's:
//
//   auto s = as_completed(handles);
//   while (auto item = co_await s.next()) { item->handle is the caller's, item->index where it was, item->get() }
//
// handles: as wait() takes them; the same task given twice counts once. It owns nothing: leaving it, or being cancelled,
// leaves the tasks alone. The handles must stay where they are until it is gone; that of an item that was given may be
// moved from. It does not move itself.
template <class R>
    requires detail::waitable_range<R>
auto as_completed(R&& handles, completed_handles_options options = {}) {
    using element = std::ranges::range_reference_t<R>;
    using waited = detail::waited_item<element>;
    std::vector<typename waited::type> items;
    for (auto&& each : handles) {
        items.push_back(waited::from(static_cast<element&&>(each)));
    }
    return completed_handles<element>(std::move(items), options.timeout);
}

}  // namespace magpie
