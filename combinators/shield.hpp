#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/shield_awaiter.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/join_handle.hpp>

#include <type_traits>
#include <utility>

namespace magpie {

// What shield() returns. `H` is the handle's type, or a reference to an lvalue one.
template <class H>
class [[nodiscard("co_await it")]] shield_awaitable {
public:
    explicit shield_awaitable(H&& handle) noexcept : handle_(std::forward<H>(handle)) {}
    detail::shield_awaiter<H> operator co_await() && noexcept {
        return detail::shield_awaiter<H>(std::forward<H>(handle_));
    }

private:
    H handle_;
};

// Awaits a spawned task without letting a cancellation through to it: cancelling who awaits ends only that wait, at once,
// and the task goes on, owned by the runtime or its group. Otherwise as awaiting the handle: an lvalue join_handle gives
// T&, an rvalue the value, a shared_handle T const&; a task that others cancelled throws child_cancelled. With the handle
// moved in, a result that nobody waits for any more is destroyed, and an error is reported to on_unhandled.
template <class H>
    requires detail::unique_handle<H>
shield_awaitable<H> shield(H&& handle) noexcept {
    return shield_awaitable<H>(std::forward<H>(handle));
}
template <class H>
    requires detail::shared_task_handle<H>
shield_awaitable<std::remove_cvref_t<H>> shield(H&& handle) noexcept {
    return shield_awaitable<std::remove_cvref_t<H>>(std::remove_cvref_t<H>(std::forward<H>(handle)));
}
// What is not running yet has no owner it could go on with.
template <class A>
    requires(!detail::task_handle<A> && awaitable<std::remove_cvref_t<A>>)
void shield(A&&) {
    static_assert(detail::always_false<A>, "shield() takes a handle: spawn the task first, or use shielded()");
}

// What shielded() returns.
template <class T>
class [[nodiscard("co_await it")]] shielded_awaitable {
public:
    explicit shielded_awaitable(task<T>&& body) noexcept : body_(std::move(body)) {}
    detail::shielded_awaiter<T> operator co_await() && noexcept {
        return detail::shielded_awaiter<T>(std::move(body_));
    }

private:
    task<T> body_;
};

// Runs `body` to its end whatever happens: a request to cancel who awaits is kept until then, and delivered at the next
// suspension; the body's value or error is given first. Nests. The body runs as a child task, so that its own timeouts
// and groups work as ever.
template <class A>
    requires awaitable<std::remove_cvref_t<A>>
auto shielded(A&& body) {
    return detail::make_shielded(detail::as_child<false>(std::forward<A>(body)));
}

}  // namespace magpie
