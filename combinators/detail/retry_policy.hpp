#pragma once

#include <magpie/combinators/detail/expected_like.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/fast_rand.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <type_traits>

namespace magpie {

// How often, and after which pauses, something that failed is tried again.
struct retry_options {
    int attempts = 1;        // the first counts: 1 = no second try; at least 1
    duration backoff{};      // before the second attempt
    double factor = 2;       // each later pause is this many times as long; at least 1
    double jitter = 0.5;     // each pause is multiplied by a random number from 1 - jitter to 1 + jitter; 0 … 1
    duration max_backoff{};  // no pause is longer, jitter aside; 0 = no bound
    duration time_limit{};   // no attempt begins later than this after the first one has begun; 0 = no bound
};

namespace detail {

// Throws std::invalid_argument if a member is out of range.
void check(retry_options const& options);

// The pauses between attempts, for one task's operations.
class retry_pauses {
public:
    // `options` must outlive this.
    explicit retry_pauses(retry_options const& options) noexcept : options_(&options) {}

    // The pause after attempt number `attempt` of an operation whose first attempt began at `begun`; std::nullopt: there
    // must be no further attempt. In the task.
    std::optional<duration> after(int attempt, time_point begun);

private:
    double jittered(double nanoseconds);

    retry_options const* options_;
    std::optional<fast_rand> random_;  // made when it is needed: its seed takes the task's id
};

// The predicate in place of a user's.
struct retry_all_failures {};

template <class Pred>
bool error_asks_for_retry([[maybe_unused]] Pred& pred, [[maybe_unused]] std::exception_ptr const& error) {
    if constexpr (std::predicate<Pred&, std::exception_ptr const&>) {
        return pred(error);
    } else {
        return true;
    }
}

template <class Pred, class T>
bool value_asks_for_retry([[maybe_unused]] Pred& pred, T const& value) {
    if constexpr (std::predicate<Pred&, T const&>) {
        return (!expected_like<T> || holds_error(value)) && pred(value);
    } else {
        return holds_error(value);
    }
}

} // namespace detail
} // namespace magpie
