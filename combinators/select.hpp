#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/select_join.hpp>
#include <magpie/combinators/policy.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/outcome.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace magpie {

// How a select() ended. Move-only if a value is.
template <bool Settled, class... Ts>
class basic_select_result {
    template <class T>
    using kept = std::conditional_t<Settled, outcome<T>, detail::stored_t<T>>;
    using lates = std::tuple<std::optional<detail::stored_t<Ts>>...>;

public:
    using value_type = std::variant<kept<Ts>...>;

    basic_select_result(std::size_t first, value_type&& its_value, lates&& of_the_others)
        : index(first), value(std::move(its_value)), late_(std::move(of_the_others)) {}

    std::size_t index;  // of the argument that ended first
    value_type value;   // what it gave, at that index: void is std::monostate, T& is T*; under `settled` an outcome<T>

    // What argument I, which lost, gave in spite of being cancelled: an item it had received already, a connection that
    // had been accepted. Empty for the winner, and for those that ended cancelled or by an error.
    template <std::size_t I>
    auto& late() noexcept {
        return std::get<I>(late_);
    }
    template <std::size_t I>
    auto const& late() const noexcept {
        return std::get<I>(late_);
    }

private:
    lates late_;
};

template <class... Ts>
using select_result = basic_select_result<false, Ts...>;

namespace detail {

template <bool Settled, class... Ts>
class select_awaiter final : public select_join {
    using result = basic_select_result<Settled, Ts...>;
    using value_type = typename result::value_type;
    using indices = std::index_sequence_for<Ts...>;

public:
    explicit select_awaiter(std::tuple<task<Ts>...>&& tasks) noexcept : children_(std::move(tasks)) {
        number(indices());
    }

    bool await_ready() const noexcept { return false; }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        auto const list =
            std::apply([](auto&... each) { return std::array<child*, sizeof...(Ts)>{&each...}; }, children_);
        return launch(parent, *parent.promise().context(), list);
    }

    result await_resume() { return conclude(indices()); }

private:
    template <std::size_t... I>
    void number(std::index_sequence<I...>) noexcept {
        ((std::get<I>(children_).index = static_cast<int>(I)), ...);
    }

    template <std::size_t... I>
    result conclude(std::index_sequence<I...>) {
        auto const first = static_cast<std::size_t>(winner());
        (report_loser<I>(first), ...);
        std::optional<value_type> value;
        (take_value<I>(first, value), ...);
        return result(first, std::move(*value), std::tuple<std::optional<stored_t<Ts>>...>(take_late<I>(first)...));
    }

    template <std::size_t I>
    void report_loser(std::size_t first) noexcept {
        auto& each = std::get<I>(children_);
        if (I != first && !each.cancelled() && each.result.has_error()) {
            report_suppressed(std::move(each.result.error()), "select: a task failed after another had ended first");
        }
    }

    template <std::size_t I>
    void take_value(std::size_t first, std::optional<value_type>& into) {
        if (I != first) {
            return;
        }
        auto& each = std::get<I>(children_);
        if constexpr (!Settled) {
            if (std::exception_ptr error = each.take_error()) {
                std::rethrow_exception(std::move(error));
            }
            into.emplace(std::in_place_index<I>, std::move(each.result.value()));
        } else {
            using T = std::tuple_element_t<I, std::tuple<Ts...>>;
            auto& place = std::get<I>(into.emplace(std::in_place_index<I>));
            if (each.cancelled()) {
                place.set_cancelled();
            } else if (each.result.has_error()) {
                place.set_error(std::move(each.result.error()));
            } else if constexpr (std::is_void_v<T>) {
                place.emplace();
            } else if constexpr (std::is_reference_v<T>) {
                place.emplace(static_cast<T>(*each.result.value()));
            } else {
                place.emplace(std::move(each.result.value()));
            }
        }
    }

    template <std::size_t I>
    auto take_late(std::size_t first) {
        auto& each = std::get<I>(children_);
        using late = std::optional<stored_t<std::tuple_element_t<I, std::tuple<Ts...>>>>;
        return I != first && each.result.has_value() ? late(std::move(each.result.value())) : late();
    }

    bool request_all() noexcept override {
        return std::apply(
                   [](auto&... each) {
                       return (static_cast<unsigned>(each.request_cancel(request_origin::external)) | ... | 0U);
                   },
                   children_) != 0;
    }

    std::tuple<select_child<Ts>...> children_;
};

// What select() returns.
template <bool Settled, class... Ts>
class [[nodiscard("co_await it")]] select_awaitable {
public:
    explicit select_awaitable(task<Ts>&&... tasks) noexcept : tasks_(std::move(tasks)...) {}

    select_awaiter<Settled, Ts...> operator co_await() && noexcept {
        return select_awaiter<Settled, Ts...>(std::move(tasks_));
    }

private:
    std::tuple<task<Ts>...> tasks_;
};

template <bool Settled, class... Ts>
select_awaitable<Settled, Ts...> make_select(task<Ts>&&... tasks) noexcept {
    return select_awaitable<Settled, Ts...>(std::move(tasks)...);
}

}  // namespace detail

// Runs several awaitables as tasks of their own and gives what the first one to end gave; the others are cancelled, and
// have ended, before it returns:
//
//   auto w = co_await select(jobs.get(), stop.wait(), sleep(1s));
//   if (w.index == 0) use(std::get<0>(w.value));
//   else if (auto& item = w.late<0>()) use(*item);           had been handed over already when it was cancelled
//
// Arguments: anything awaitable, moved in: tasks, sleeps, a queue's get(), acquire(), operations, handles. An lvalue
// handle stays the caller's and gives a pointer to its value; a join_handle's task is cancelled when it loses, that of
// a shared_handle is left alone. All of them are begun, unless one ends at once: then those behind it may never begin.
//
// If the winner ended by an error, that is thrown, after the others have ended; one that was cancelled by somebody else
// counts as failed with child_cancelled. What a loser gives in spite of its cancellation is in late<I>(), so nothing
// that was received is dropped, unless the winner's error is thrown: select(settled, ...) gives outcomes and throws
// none. A loser's error goes to on_suppressed.
//
// Cancelling who awaits cancels all of them, waits for all and throws task_cancelled; if one has ended with a value or
// an error all the same, that counts, and the request stays pending.
//
// What select returns is move-only and lazy; its state lies in the awaiting frame. Which one is first, of several that
// end at about the same time on different workers, is decided by the order of their ends.
template <class... As>
    requires(!std::is_same_v<std::remove_cvref_t<As>, settled_t> && ...)
auto select(As&&... awaitables) {
    constexpr bool fits = sizeof...(As) != 0 && (detail::gatherable<As> && ...);
    static_assert(fits, "select(a, b, ...) needs one or more arguments that can be awaited; of a range: first_success()");
    if constexpr (fits) {
        return detail::make_select<false>(detail::as_child<false>(std::forward<As>(awaitables))...);
    } else {
        return detail::refused();
    }
}
template <class... As>
auto select(settled_t, As&&... awaitables) {
    constexpr bool fits = sizeof...(As) != 0 && (detail::gatherable<As> && ...);
    static_assert(fits, "select(settled, a, b, ...) needs one or more arguments that can be awaited");
    if constexpr (fits) {
        return detail::make_select<true>(detail::as_child<true>(std::forward<As>(awaitables))...);
    } else {
        return detail::refused();
    }
}

}  // namespace magpie
