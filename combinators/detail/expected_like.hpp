#pragma once

#include <concepts>

namespace magpie::detail {

// A value or an error: std::expected, io::result, outcome.
template <class T>
concept expected_like = requires(T const& t) {
    { t.has_value() } -> std::convertible_to<bool>;
    t.error();
};

// True for an expected-like without a value: an operation that failed without throwing.
template <class T>
bool holds_error(T const& value) {
    if constexpr (expected_like<T>) {
        return !value.has_value();
    } else {
        return false;
    }
}

} // namespace magpie::detail
