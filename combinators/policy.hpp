#pragma once

#include <cstdint>

namespace magpie {

// What a combinator does when one of its tasks fails: the member `.on_error` of its options, and the first argument of
// gather(wait_all, ...).
enum class error_policy : std::uint8_t {
    cancel_rest,  // the others are cancelled and joined, then the error is thrown: the default everywhere
    wait_all,     // the others run to their own ends, then the error is thrown
    settle,       // errors stop nothing and are not thrown
};
inline constexpr error_policy wait_all = error_policy::wait_all;
inline constexpr error_policy settle = error_policy::settle;

// First argument of gather(settled, ...) and batch(settled, ...): outcomes instead of values; nothing is thrown but the
// awaiting task's own cancellation.
struct settled_t {
    explicit settled_t() = default;
};
inline constexpr settled_t settled{};

} // namespace magpie
