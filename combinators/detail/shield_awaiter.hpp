#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/join_handle.hpp>

#include <array>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace magpie {

template <class T>
class shielded_awaitable;

namespace detail {

// Waits for a handle's task, and lets go of it when the waiting task is cancelled. Keeps the handle.
template <class H>
class shield_awaiter final : public join_waiter {
    using plain = std::remove_cvref_t<H>;
    using value = typename plain::value_type;

public:
    explicit shield_awaiter(H&& handle) noexcept
        : join_waiter(handle.record(), on_request::leave), handle_(std::forward<H>(handle)) {}

    decltype(auto) await_resume() {
        check();
        if constexpr (shared_task_handle<H>) {
            return std::as_const(handle_.record().result()).value();
        } else if constexpr (std::is_lvalue_reference_v<H>) {
            return handle_.record().result().value();
        } else {
            return value_out();
        }
    }

private:
    value value_out() { return std::move(handle_.record().result()).value(); }

    H handle_;
};

// Runs one child while the parent hears no request.
template <class T>
class shielded_awaiter final : public gather_join {
public:
    explicit shielded_awaiter(task<T>&& body) noexcept : gather_join(false), child_(std::move(body)) {}

    bool await_ready() const noexcept { return false; }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        task_context& task = *parent.promise().context();
        ++task.shield_depth;
        std::array<child*, 1> const list{&child_};
        return launch(parent, task, list);
    }

    T await_resume() {
        --context->shield_depth;
        check();
        return unstore<T>(child_.take());
    }

private:
    bool request_all() noexcept override { return false; }

    gather_child<T, false> child_;
};

template <class T>
shielded_awaitable<T> make_shielded(task<T>&& body) noexcept {
    return shielded_awaitable<T>(std::move(body));
}

}  // namespace detail
}  // namespace magpie
