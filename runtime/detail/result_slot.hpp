#pragma once

#include <magpie/runtime/detail/assert.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

namespace magpie::detail {

// What a T-returning task leaves behind, in a form that can be stored: T& becomes T*, void becomes monostate.
template <class T>
using stored_t = std::conditional_t<std::is_void_v<T>, std::monostate,
                                    std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

template <class T>
decltype(auto) unstore(stored_t<T>&& value) {
    if constexpr (std::is_void_v<T>) {
        return;
    } else if constexpr (std::is_reference_v<T>) {
        return static_cast<T>(*value);
    } else {
        return T(std::move(value));
    }
}

// Empty, a value or an exception: a task's outcome while it is on its way. Not synchronised.
template <class T>
class result_slot {
public:
    using stored = stored_t<T>;

    result_slot() noexcept {}
    result_slot(result_slot const&) = delete;
    result_slot& operator=(result_slot const&) = delete;
    ~result_slot() { reset(); }

    template <class... Args>
    void set_value(Args&&... args) {
        if constexpr (std::is_trivially_destructible_v<stored> && std::is_nothrow_constructible_v<stored, Args...>) {
            MAGPIE_ASSERT(state_ != state::error);  // an error is the last that happens to a frame
        } else if (state_ != state::empty) [[unlikely]] {
            reset();
        }
        std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
        state_ = state::value;
    }
    void set_error(std::exception_ptr error) noexcept {
        reset();
        std::construct_at(&error_, std::move(error));
        state_ = state::error;
    }
    // Takes over what `other` holds; `other` keeps a moved-from value or an empty error.
    void take(result_slot& other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        if (other.state_ == state::value) {
            set_value(std::move(other.value_));
        } else if (other.state_ == state::error) {
            set_error(std::move(other.error_));
        }
    }
    void reset() noexcept {
        if (state_ == state::value) {
            std::destroy_at(std::addressof(value_));
        } else if (state_ == state::error) {
            std::destroy_at(&error_);
        }
        state_ = state::empty;
    }

    bool has_value() const noexcept { return state_ == state::value; }
    bool has_error() const noexcept { return state_ == state::error; }
    stored& value() noexcept { return value_; }
    std::exception_ptr& error() noexcept { return error_; }

    // Moves the value out or rethrows.
    T get() {
        if (state_ == state::error) {
            std::rethrow_exception(std::move(error_));
        }
        return unstore<T>(std::move(value_));
    }

private:
    enum class state : std::uint8_t { empty, value, error };

    union {
        stored value_;
        std::exception_ptr error_;
    };
    state state_ = state::empty;
};

} // namespace magpie::detail
