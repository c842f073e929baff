#pragma once

#include <magpie/runtime/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

namespace magpie::detail {

template <class Fn, class Arg>
using item_result_t = await_result_t<std::remove_cvref_t<std::invoke_result_t<Fn&, Arg>>>;

// As above; void of a function that does not fit, which is refused elsewhere.
template <class Fn, class Arg>
struct item_result {
    using type = void;
};
template <class Fn, class Arg>
    requires task_function<Fn&, Arg>
struct item_result<Fn, Arg> {
    using type = item_result_t<Fn, Arg>;
};

// One input of a batch while it is worked on, and how it is passed to the function. What the function returns may refer
// to it until it has ended, over several attempts.
//
//   An lvalue of a range that can be gone through again stays where it is, and is passed as an lvalue. An element of a
//   container that the batch owns may be moved from, if nothing else compiles.
//   Anything else is moved, or copied, in here. It is passed as an rvalue if that compiles; but if further attempts may
//   follow, as an lvalue, or, if that does not compile, as an rvalue of a copy.
template <class Reference, bool Stable, bool Owned, class Fn>
class batch_input {
    using plain = std::remove_cvref_t<Reference>;
    static constexpr bool in_place =
        std::is_lvalue_reference_v<Reference> && (Stable || !std::constructible_from<plain, Reference>);
    using object = std::conditional_t<in_place, std::remove_reference_t<Reference>, plain>;
    using holder = std::conditional_t<in_place, object*, std::optional<object>>;

    static constexpr bool may_move = (!in_place || Owned) && !std::is_const_v<object>;
    static constexpr bool as_lvalue = task_function<Fn&, object&>;
    static constexpr bool as_rvalue = may_move && task_function<Fn&, object>;
    static constexpr bool moves = as_rvalue && !(in_place && as_lvalue);
    using argument = std::conditional_t<moves, object&&, object&>;

    // An lvalue will do while attempts may follow.
    static constexpr bool lvalue_repeats() {
        if constexpr (as_lvalue && accepted) {
            return std::same_as<item_result_t<Fn, object&>, result>;
        } else {
            return false;
        }
    }
    static constexpr bool copy_repeats = moves && !lvalue_repeats() && std::copy_constructible<object>;
    struct nothing {};

public:
    static constexpr bool accepted = as_lvalue || as_rvalue;
    using result = typename item_result<Fn, argument>::type;
    // Whether the function can be called more than once.
    static constexpr bool repeats = lvalue_repeats() || copy_repeats;

    void take(Reference&& from) {  // an lvalue reference collapses
        if constexpr (in_place) {
            holder_ = std::addressof(from);
        } else {
            holder_.emplace(static_cast<Reference&&>(from));
        }
    }
    void reset() noexcept {
        holder_ = {};
        if constexpr (copy_repeats) {
            copy_.reset();
        }
    }

    // What the function returns, as a task. `last`: no attempt follows.
    task<result> call(Fn& fn, [[maybe_unused]] bool last) {
        object& held = *holder_;
        if constexpr (!moves) {
            return as_task(std::invoke(fn, held));
        } else {
            if (!last) {
                if constexpr (lvalue_repeats()) {
                    return as_task(std::invoke(fn, held));
                } else if constexpr (copy_repeats) {
                    copy_.emplace(std::as_const(held));
                    return as_task(std::invoke(fn, std::move(*copy_)));
                }
            }
            return as_task(std::invoke(fn, std::move(held)));
        }
    }

private:
    holder holder_{};
    [[no_unique_address]] std::conditional_t<copy_repeats, std::optional<object>, nothing> copy_{};
};

enum class input_state : std::uint8_t { none_left, ready, coming };

// The range of a batch: goes through it once, one step ahead of what has been taken.
template <std::ranges::view V, bool Owned, class Fn>
class batch_inputs {
    using reference = std::ranges::range_reference_t<V>;

public:
    using input = batch_input<reference, std::ranges::forward_range<V>, Owned, Fn>;

    explicit batch_inputs(V&& range) : range_(std::move(range)) {}

    // If an operation on the range throws, the range is over.
    bool has_next() {
        if (over_ || !taken_) {
            return !over_;
        }
        over_ = true;
        if (!at_) {
            at_.emplace(std::ranges::begin(range_));
        } else {
            ++*at_;
        }
        over_ = *at_ == std::ranges::end(range_);
        taken_ = false;
        return !over_;
    }
    template <class Batch>
    input_state look(Batch&, bool) {
        return has_next() ? input_state::ready : input_state::none_left;
    }
    static std::exception_ptr drop_fetched() noexcept { return nullptr; }
    // After has_next() was true.
    void take_next(input& into) {
        taken_ = true;
        into.take(**at_);
    }
    std::optional<std::size_t> size() {
        if constexpr (std::ranges::sized_range<V>) {
            return static_cast<std::size_t>(std::ranges::size(range_));
        } else {
            return std::nullopt;
        }
    }

private:
    V range_;
    std::optional<std::ranges::iterator_t<V>> at_;
    bool taken_ = true;  // what at_ points to: the next look goes one further
    bool over_ = false;
};

} // namespace magpie::detail
