#pragma once

#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/errors.hpp>

#include <concepts>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

namespace magpie::detail {

// Puts a deadline around another awaiter, which suspends the same frame: nothing is allocated. `A` is the awaitable's
// type, or a reference to an lvalue one.
template <class A>
class timeout_awaiter {
    using inner_awaiter = decltype(detail::awaiter_of(std::declval<A>()));
    using result = await_result_t<A>;

public:
    timeout_awaiter(duration limit, A&& awaited)
        : limit_(limit), awaited_(std::forward<A>(awaited)), inner_(detail::awaiter_of(std::forward<A>(awaited_))) {}
    timeout_awaiter(timeout_awaiter const&) = delete;
    timeout_awaiter& operator=(timeout_awaiter const&) = delete;

    bool await_ready() { return inner_.await_ready(); }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) {
        // A handle's task runs already: it is cancelled and waited for. Anything else has not begun, and will not.
        if (limit_ <= duration::zero() && !task_handle<A>) {
            too_late_ = true;
            return frame;
        }
        scope_.emplace(*frame.promise().context(), limit_);
        using outcome = decltype(inner_.await_suspend(frame));
        if constexpr (std::is_void_v<outcome>) {
            inner_.await_suspend(frame);
            return std::noop_coroutine();
        } else if constexpr (std::same_as<outcome, bool>) {
            if (inner_.await_suspend(frame)) {
                return std::noop_coroutine();
            }
            return frame;
        } else {
            return inner_.await_suspend(frame);
        }
    }

    result await_resume() {
        if (too_late_) {
            throw timeout_error();
        }
        if (!scope_) {
            return inner_.await_resume();
        }
        try {
            if constexpr (std::is_void_v<result>) {
                inner_.await_resume();
                scope_->leave(false);
            } else {
                result value = inner_.await_resume();
                scope_->leave(false);
                return static_cast<result&&>(value);
            }
        } catch (task_cancelled const&) {
            if (scope_->leave(true)) {
                throw timeout_error();
            }
            throw;
        }
    }

private:
    duration limit_;
    A awaited_;
    inner_awaiter inner_;
    std::optional<deadline_scope> scope_;
    bool too_late_ = false;
};

}  // namespace magpie::detail
