#pragma once

#include <magpie/combinators/shield.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace magpie {

namespace detail {

template <class Fn, class... Args>
concept cleanup_function = std::invocable<Fn, Args...> && (std::is_void_v<std::invoke_result_t<Fn, Args...>> ||
                                                           awaitable<std::invoke_result_t<Fn, Args...>>);

template <class T, class A>
task<> run_into(result_slot<T>& result, A body) {
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(body);
            result.set_value();
        } else if constexpr (std::is_reference_v<T>) {
            result.set_value(std::addressof(co_await std::move(body)));
        } else {
            result.set_value(co_await std::move(body));
        }
    } catch (...) {
        result.set_error(std::current_exception());
    }
}

template <class T, class A, class Fn, class... Args>
task<T> run_with_cleanup(A body, Fn cleanup, Args... args) {
    result_slot<T> result;
    co_await run_into<T, A>(result, std::move(body));
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<Fn, Args...>>) {
            std::invoke(std::move(cleanup), std::move(args)...);
        } else {
            co_await shielded(std::invoke(std::move(cleanup), std::move(args)...));
        }
    } catch (...) {
        if (result.has_error() && !is_cancellation(result.error())) {
            report_suppressed(std::move(result.error()), "with_cleanup: the cleanup failed after the body had failed");
        }
        throw;
    }
    co_return result.get();
}

}  // namespace detail

// Awaits `body`, and then, however it ended, runs cleanup(args...): a function that returns an awaitable, or void. The
// cleanup is shielded: a request to cancel waits until it is over (put a timeout() inside if it might hang). Then gives
// the body's value or error; an error of the cleanup replaces the body's, which goes to on_suppressed. The cleanup and
// its arguments are moved in. It does not run if nobody ever awaits.
template <class A, class Fn, class... Args>
    requires awaitable<std::remove_cvref_t<A>> && detail::cleanup_function<std::decay_t<Fn>, std::decay_t<Args>...>
auto with_cleanup(A&& body, Fn&& cleanup, Args&&... args) {
    detail::check_closure<Fn>();
    using plain = std::remove_cvref_t<A>;
    return detail::run_with_cleanup<await_result_t<plain>, plain, std::decay_t<Fn>, std::decay_t<Args>...>(
        std::forward<A>(body), std::forward<Fn>(cleanup), std::forward<Args>(args)...);
}

}  // namespace magpie
