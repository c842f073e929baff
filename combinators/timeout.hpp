#pragma once

#include <magpie/combinators/detail/timeout_awaiter.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace magpie {

namespace detail {

// An lvalue join_handle is awaited where it is; anything else is moved, or copied, in.
template <class A>
using timeout_held_t = std::conditional_t<unique_handle<A> && std::is_lvalue_reference_v<A>, A, std::remove_cvref_t<A>>;

template <class A>
concept can_time_out = awaitable<timeout_held_t<A>> && std::constructible_from<timeout_held_t<A>, A>;

}  // namespace detail

// What timeout() returns: lazy, move-only; the deadline counts from the co_await.
template <class A>
class [[nodiscard("co_await it")]] timeout_awaitable {
public:
    timeout_awaitable(duration limit, A&& awaited) : limit_(limit), awaited_(std::forward<A>(awaited)) {}

    detail::timeout_awaiter<A> operator co_await() && { return {limit_, std::forward<A>(awaited_)}; }

private:
    duration limit_;
    A awaited_;
};

// Awaits `awaited` for no longer than `limit`: at the deadline it is cancelled and waited for, and timeout_error is
// thrown if it ended by that cancellation. If it ended with a value or an error of its own in spite of it, that counts.
// A cancellation by anybody else stays one. Of nested deadlines that have passed when the body resumes, only the
// outermost becomes a timeout_error.
//
// A limit of zero or less: what is ready gives its value; a handle's task is cancelled and waited for; anything else is
// never begun. duration::max() and std::nullopt mean never. An lvalue join_handle is awaited in place, anything else
// is moved in. Runs in the awaiting task, without a frame of its own. Throws std::invalid_argument for NaN.
template <class Rep, class Period, class A>
    requires detail::can_time_out<A>
timeout_awaitable<detail::timeout_held_t<A>> timeout(std::chrono::duration<Rep, Period> limit, A&& awaited) {
    return {detail::timeout_duration(limit), detail::timeout_held_t<A>(std::forward<A>(awaited))};
}
template <class A>
    requires detail::can_time_out<A>
timeout_awaitable<detail::timeout_held_t<A>> timeout(std::optional<duration> limit, A&& awaited) {
    return {limit.value_or(duration::max()), detail::timeout_held_t<A>(std::forward<A>(awaited))};
}
template <class Rep, class Period, class A>
    requires(!detail::can_time_out<A>)
auto timeout(std::chrono::duration<Rep, Period>, A&&) {
    static_assert(!detail::is_lvalue_task<A>, "a task is awaited once: timeout(1s, std::move(t))");
    static_assert(detail::is_lvalue_task<A>,
                  "timeout(limit, awaitable) needs something that can be awaited; call the function that gives it");
    return detail::refused();
}
// What stands behind it is what compilers show.
template <std::integral T, class A>
void timeout(T, A&&) = delete;  // a bare number has no unit: timeout(1s, ...)

namespace detail {
struct timeout_access;
}

// The inside's view of with_timeout(). Lives as long as the block.
class timeout_scope {
public:
    timeout_scope(timeout_scope const&) = delete;
    timeout_scope& operator=(timeout_scope const&) = delete;

    // Moves the deadline, or removes it (std::nullopt). A point that has passed is due at the next suspension. False,
    // without effect, if the scope has expired: whether it did first is decided once and for all. Any task of this
    // runtime while the block runs; throws usage_error elsewhere.
    bool reschedule(std::optional<time_point> when) { return core_.reschedule(when.value_or(time_point::max())); }
    // The deadline has passed, and the block is, or was, cut off.
    bool expired() const noexcept { return core_.has_expired(); }
    // The deadline; std::nullopt if there is none.
    std::optional<time_point> when() const noexcept {
        time_point const deadline = core_.when();
        return deadline == time_point::max() ? std::nullopt : std::optional(deadline);
    }

private:
    friend struct detail::timeout_access;
    explicit timeout_scope(duration limit) : core_(*detail::current_context(), limit) {}

    detail::deadline_scope core_;
};

namespace detail {

struct timeout_access {
    template <class T, class Fn, class... Args>
    static task<T> run(duration limit, Fn fn, Args... args) {
        timeout_scope scope(limit);
        try {
            if constexpr (std::is_void_v<T>) {
                co_await std::invoke(std::move(fn), scope, std::move(args)...);
                scope.core_.leave(false);
            } else {
                T value = co_await std::invoke(std::move(fn), scope, std::move(args)...);
                scope.core_.leave(false);
                co_return static_cast<T&&>(value);
            }
        } catch (task_cancelled const&) {
            if (scope.core_.leave(true)) {
                throw timeout_error();
            }
            throw;
        }
    }

    template <class Fn, class... Args>
    static auto make(duration limit, Fn&& fn, Args&&... args) {
        using result = await_result_t<std::invoke_result_t<std::decay_t<Fn>, timeout_scope&, std::decay_t<Args>...>>;
        return run<result, std::decay_t<Fn>, std::decay_t<Args>...>(limit, std::forward<Fn>(fn),
                                                                    std::forward<Args>(args)...);
    }
};

template <class Fn, class... Args>
concept timeout_body =
    std::invocable<Fn, timeout_scope&, Args...> && awaitable<std::invoke_result_t<Fn, timeout_scope&, Args...>>;

}  // namespace detail

// As timeout(), for what fn(scope, args...) returns; the scope can move the deadline. fn and args live as long as it
// runs. A limit of zero or less is due at the body's first suspension; a body that never suspends is never cut off.
template <class Rep, class Period, class Fn, class... Args>
    requires detail::timeout_body<std::decay_t<Fn>, std::decay_t<Args>...>
auto with_timeout(std::chrono::duration<Rep, Period> limit, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return detail::timeout_access::make(detail::timeout_duration(limit), std::forward<Fn>(fn),
                                        std::forward<Args>(args)...);
}
template <class Fn, class... Args>
    requires detail::timeout_body<std::decay_t<Fn>, std::decay_t<Args>...>
auto with_timeout(std::optional<duration> limit, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return detail::timeout_access::make(limit.value_or(duration::max()), std::forward<Fn>(fn),
                                        std::forward<Args>(args)...);
}
template <class Rep, class Period, class Fn, class... Args>
    requires(!detail::timeout_body<std::decay_t<Fn>, std::decay_t<Args>...>)
auto with_timeout(std::chrono::duration<Rep, Period>, Fn&&, Args&&...) {
    static_assert(detail::always_false<Fn>,
                  "with_timeout(limit, fn, args...) needs an fn that can be called with (timeout_scope&, args...) and "
                  "returns something awaitable");
    return detail::refused();
}
template <std::integral T, class Fn, class... Args>
void with_timeout(T, Fn&&, Args&&...) = delete;  // a bare number has no unit: with_timeout(1s, ...)

}  // namespace magpie
