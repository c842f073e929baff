#pragma once

#include <magpie/combinators/detail/thread_call.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace magpie {

// First argument of to_thread(abandon_on_cancel, fn, args...).
struct abandon_on_cancel_t {
    explicit abandon_on_cancel_t() = default;
};
inline constexpr abandon_on_cancel_t abandon_on_cancel{};

namespace detail {

template <class Fn, class... Args>
concept thread_function = std::invocable<Fn, Args...> || std::invocable<Fn, stop_token, Args...>;

} // namespace detail

// What to_thread() returns: lazy, move-only; the call is submitted by the co_await.
template <class Mode, class Fn, class... Args>
class [[nodiscard("co_await it")]] to_thread_awaitable {
public:
    template <class F, class... As>
    explicit to_thread_awaitable(Mode, F&& fn, As&&... args) : call_(std::in_place, std::forward<F>(fn), std::forward<As>(args)...) {}

    auto operator co_await() && {
        if constexpr (std::same_as<Mode, abandon_on_cancel_t>) {
            return detail::abandoning_awaiter<Fn, Args...>(std::move(call_));
        } else {
            return detail::waiting_awaiter<Fn, Args...>(std::move(call_));
        }
    }

private:
    detail::bound_call<Fn, Args...> call_;
};

// Runs fn(args...) on a thread of the runtime's blocking pool (config.blocking_threads; calls wait, first come first
// served, when all are busy) and gives its value, or throws what it threw. fn and args are moved, or copied, in; the
// task goes on on a worker, never on the pool's thread. If fn takes a magpie::stop_token before the arguments, it gets
// one that says whether the awaiting task has been asked to end.
//
// Cancelling waits for fn to return: it may work with what belongs to the awaiting frame. Its value is given then and
// the request stays pending. A call that no thread has begun yet is dropped, and the cancellation delivered, when its
// turn comes. Throws std::system_error if no thread can be made.
template <class Fn, class... Args>
    requires detail::thread_function<std::decay_t<Fn>, std::decay_t<Args>...>
auto to_thread(Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return to_thread_awaitable<detail::wait_on_cancel_t, std::decay_t<Fn>, std::decay_t<Args>...>(
        detail::wait_on_cancel_t(), std::forward<Fn>(fn), std::forward<Args>(args)...);
}

// The same, but cancelling does not wait: the task goes on with the cancellation at once, and fn is left to run. fn, its
// arguments and its result live in storage of their own then, and must refer to nothing of the task's; value or error
// are destroyed on the pool's thread when it returns. A call that no thread has begun yet never begins. The runtime's
// end waits for fn; it should look at its stop_token.
template <class Fn, class... Args>
    requires detail::thread_function<std::decay_t<Fn>, std::decay_t<Args>...>
auto to_thread(abandon_on_cancel_t mode, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return to_thread_awaitable<abandon_on_cancel_t, std::decay_t<Fn>, std::decay_t<Args>...>(
        mode, std::forward<Fn>(fn), std::forward<Args>(args)...);
}

} // namespace magpie
