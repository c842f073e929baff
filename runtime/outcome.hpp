#pragma once

#include <magpie/runtime/errors.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace magpie {

// How a task ended: with a value, with an exception, or cancelled.
//
//   state      has_value()  cancelled()  error()                  value()
//   value      true         false        null                     the value
//   error      false        false        the exception            rethrows it
//   cancelled  false        true         holds a child_cancelled  throws child_cancelled
//
// T may be void, a reference (kept as a pointer), move-only, or without a default constructor. Not synchronised: one
// thread at a time, except that any number may call the const functions at once.
//
// A fourth state, empty, is that of a default-constructed outcome: has_value() and cancelled() are false, error() and
// value() throw usage_error. No outcome that the library hands out is empty. A moved-from outcome keeps its state, with
// a moved-from value.
template <class T>
class outcome;

namespace detail {

enum class outcome_state : std::uint8_t { empty, value, error, cancelled };

// The part that does not depend on what T is for: storage, states and copying. T is an object type.
template <class T>
class outcome_storage {
public:
    outcome_storage() noexcept {}

    outcome_storage(outcome_storage const& other)
        requires std::copy_constructible<T>
    {
        assign(other);
    }
    outcome_storage(outcome_storage&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        requires std::move_constructible<T>
    {
        assign(std::move(other));
    }
    outcome_storage& operator=(outcome_storage const& other)
        requires std::copy_constructible<T>
    {
        if (this != &other) {
            reset();
            assign(other);
        }
        return *this;
    }
    outcome_storage& operator=(outcome_storage&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        requires std::move_constructible<T>
    {
        if (this != &other) {
            reset();
            assign(std::move(other));
        }
        return *this;
    }
    ~outcome_storage() { reset(); }

    // If T's constructor throws, the outcome is left empty and the exception passes on.
    template <class... Args>
    T& emplace(Args&&... args) {
        reset();
        std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
        state_ = outcome_state::value;
        return value_;
    }
    void set_error(std::exception_ptr error) noexcept {
        reset();
        std::construct_at(std::addressof(error_), std::move(error));
        state_ = outcome_state::error;
    }
    void set_cancelled() noexcept {
        reset();
        state_ = outcome_state::cancelled;
    }
    void reset() noexcept {
        auto const state = std::exchange(state_, outcome_state::empty);
        if (state == outcome_state::value) {
            std::destroy_at(std::addressof(value_));
        } else if (state == outcome_state::error) {
            std::destroy_at(std::addressof(error_));
        }
    }

    outcome_state state() const noexcept { return state_; }

    void require_value() const {
        if (state_ != outcome_state::value) [[unlikely]] {
            rethrow();
        }
    }
    std::exception_ptr error() const {
        switch (state_) {
        case outcome_state::value:
            return nullptr;
        case outcome_state::error:
            return error_;
        case outcome_state::cancelled:
            return child_cancelled_ptr();
        case outcome_state::empty:
            break;
        }
        throw_empty_outcome();
    }

    T& stored() noexcept { return value_; }
    T const& stored() const noexcept { return value_; }

private:
    [[noreturn]] void rethrow() const {
        if (state_ == outcome_state::error) {
            std::rethrow_exception(error_);
        }
        if (state_ == outcome_state::cancelled) {
            throw_child_cancelled();
        }
        throw_empty_outcome();
    }

    template <class Other>
    void assign(Other&& other) {
        if (other.state_ == outcome_state::value) {
            emplace(std::forward<Other>(other).value_);
        } else if (other.state_ == outcome_state::error) {
            set_error(std::forward<Other>(other).error_);
        } else {
            state_ = other.state_;
        }
    }

    union {
        T value_;
        std::exception_ptr error_;
    };
    outcome_state state_ = outcome_state::empty;
};

struct no_value {};

}  // namespace detail

template <class T>
class outcome {
    static_assert(!std::is_rvalue_reference_v<T>, "a task cannot result in an rvalue reference: return the object");
    static constexpr bool is_reference = std::is_reference_v<T>;
    static constexpr bool is_void = std::is_void_v<T>;
    using stored = std::conditional_t<is_void, detail::no_value,
                                      std::conditional_t<is_reference, std::add_pointer_t<T>, std::remove_cv_t<T>>>;
    using reference = std::conditional_t<is_reference, T, detail::no_value&>;

    template <class U>
    static constexpr bool is_own_argument =
        std::same_as<std::remove_cvref_t<U>, outcome> || std::same_as<std::remove_cvref_t<U>, std::exception_ptr> ||
        std::same_as<std::remove_cvref_t<U>, std::in_place_t>;

public:
    using value_type = T;

    // Empty.
    outcome() noexcept = default;

    // With a value. (Of an outcome<std::exception_ptr> only the std::in_place form makes a value.)
    template <class U = T>
        requires(!is_void && !is_reference && !is_own_argument<U> && std::constructible_from<stored, U>)
    explicit(!std::convertible_to<U, stored>) outcome(U&& value) {
        storage_.emplace(std::forward<U>(value));
    }
    outcome(reference referred) noexcept
        requires is_reference
    {
        storage_.emplace(std::addressof(referred));
    }
    template <class... Args>
    explicit outcome(std::in_place_t, Args&&... args) {
        emplace(std::forward<Args>(args)...);
    }

    // With an error, which must not be null.
    outcome(std::exception_ptr error) noexcept { storage_.set_error(std::move(error)); }

    // Cancelled.
    static outcome make_cancelled() noexcept {
        outcome result;
        result.set_cancelled();
        return result;
    }

    bool has_value() const noexcept { return storage_.state() == detail::outcome_state::value; }
    explicit operator bool() const noexcept { return has_value(); }
    bool cancelled() const noexcept { return storage_.state() == detail::outcome_state::cancelled; }
    bool empty() const noexcept { return storage_.state() == detail::outcome_state::empty; }

    // Null if and only if has_value(); for a cancelled task it holds a child_cancelled.
    std::exception_ptr error() const { return storage_.error(); }

    // The value, or throws what the task threw. On an rvalue the value is moved out. The reference stays valid as long
    // as the outcome is neither assigned to nor destroyed.
    decltype(auto) value() & {
        storage_.require_value();
        return get(storage_);
    }
    decltype(auto) value() const& {
        storage_.require_value();
        return get(storage_);
    }
    decltype(auto) value() && {
        storage_.require_value();
        return get(std::move(storage_));
    }
    decltype(auto) value() const&& {
        storage_.require_value();
        return get(storage_);
    }

    // For those who produce outcomes: replace whatever is held. emplace() leaves it empty if the constructor throws.
    template <class... Args>
        requires(is_void || is_reference || std::constructible_from<stored, Args...>)
    void emplace(Args&&... args) {
        if constexpr (is_reference) {
            static_assert(sizeof...(Args) == 1);
            storage_.emplace(std::addressof(static_cast<T>(args))...);
        } else {
            storage_.emplace(std::forward<Args>(args)...);
        }
    }
    void set_error(std::exception_ptr error) noexcept { storage_.set_error(std::move(error)); }
    void set_cancelled() noexcept { storage_.set_cancelled(); }
    void reset() noexcept { storage_.reset(); }

private:
    template <class Storage>
    static decltype(auto) get(Storage&& storage) noexcept {
        if constexpr (is_void) {
            return;
        } else if constexpr (is_reference) {
            return static_cast<T>(*storage.stored());
        } else if constexpr (std::is_lvalue_reference_v<Storage>) {
            return (storage.stored());
        } else {
            return std::move(storage.stored());
        }
    }

    detail::outcome_storage<stored> storage_;
};

}  // namespace magpie
