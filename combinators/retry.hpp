#pragma once

#include <magpie/combinators/detail/retry_policy.hpp>
#include <magpie/combinators/detail/task_awaiter.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/sleep.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace magpie {

namespace detail {

template <class T, class Pred, class Fn, class... Args>
task<T> run_with_retries(retry_options options, Pred pred, Fn fn, Args... args) {
    retry_pauses pauses(options);
    time_point const begun = now();
    for (int attempt = 1;; ++attempt) {
        std::optional<duration> pause;
        try {
            if constexpr (std::is_void_v<T>) {
                co_await std::invoke(fn, args...);
                co_return;
            } else {
                T value = co_await std::invoke(fn, args...);
                if (value_asks_for_retry(pred, std::as_const(value))) {
                    pause = pauses.after(attempt, begun);
                }
                if (!pause) {
                    co_return static_cast<T&&>(value);
                }
            }
        } catch (task_cancelled const&) {
            throw;
        } catch (...) {
            if (error_asks_for_retry(pred, std::current_exception())) {
                pause = pauses.after(attempt, begun);
            }
            if (!pause) {
                throw;
            }
        }
        co_await sleep(*pause);
    }
}

template <class Fn, class... Args>
concept retryable = std::invocable<Fn&, Args&...> && awaitable<std::invoke_result_t<Fn&, Args&...>>;

} // namespace detail

// What retry() returns: lazy, move-only.
template <class Pred, class Fn, class... Args>
class [[nodiscard("co_await it")]] retry_awaitable {
public:
    using result = await_result_t<std::invoke_result_t<Fn&, Args&...>>;

    template <class P, class F, class... As>
    retry_awaitable(std::in_place_t, retry_options options, P&& pred, F&& fn, As&&... args)
        : options_(options), pred_(std::forward<P>(pred)), fn_(std::forward<F>(fn)), args_(std::forward<As>(args)...) {}

    // Asks pred(std::exception_ptr) before what was thrown is tried again, and pred(value) for what was returned (of
    // expected-likes, only for one without a value). What pred cannot take is treated as without it.
    template <class P>
    auto retry_if(P&& pred) && {
        detail::check_closure<P>();
        return std::apply(
            [&](Args&... args) {
                return retry_awaitable<std::decay_t<P>, Fn, Args...>(std::in_place, options_, std::forward<P>(pred),
                                                                     std::move(fn_), std::move(args)...);
            },
            args_);
    }

    detail::task_awaiter<result> operator co_await() && {
        return detail::task_awaiter<result>(std::apply(
            [&](Args&... args) {
                return detail::run_with_retries<result, Pred, Fn, Args...>(options_, std::move(pred_), std::move(fn_),
                                                                           std::move(args)...);
            },
            args_));
    }

private:
    retry_options options_;
    Pred pred_;
    Fn fn_;
    std::tuple<Args...> args_;
};

// Awaits fn(args...), and again as long as it fails and the options allow: a throw is a failure, and so is an
// expected-like without a value. The last failure is thrown, or returned. task_cancelled is never retried, and
// cancelling ends a pause at once: under timeout() the whole is bounded. fn and args are moved in, and passed as lvalues
// to each attempt. Throws std::invalid_argument for options out of range.
template <class Fn, class... Args>
auto retry(retry_options options, Fn&& fn, Args&&... args) {
    static_assert(std::is_trivially_destructible_v<retry_options>);
    constexpr bool fits = detail::retryable<std::decay_t<Fn>, std::decay_t<Args>...>;
    static_assert(fits,
                  "retry(options, fn, args...) needs an fn that can be called with args, as lvalues, and returns "
                  "something awaitable, such as a task");
    if constexpr (fits) {
        detail::check(options);
        detail::check_closure<Fn>();
        return retry_awaitable<detail::retry_all_failures, std::decay_t<Fn>, std::decay_t<Args>...>(
            std::in_place, options, detail::retry_all_failures(), std::forward<Fn>(fn), std::forward<Args>(args)...);
    } else {
        return detail::refused();
    }
}

} // namespace magpie
