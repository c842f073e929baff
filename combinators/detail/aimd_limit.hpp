#pragma once

// Additive increase, multiplicative decrease: D.-M. Chiu, R. Jain, "Analysis of the Increase and Decrease Algorithms for
// Congestion Avoidance in Computer Networks" (1989), who show that of the linear rules only such a one brings several
// clients of one server to equal shares; applied once per round trip, as V. Jacobson, "Congestion Avoidance and
// Control" (1988), does for TCP.
//
//   round     as many samples as the limit: about one round trip if the limit is in use
//   increase  at the end of a round without congestion: +1, if the limit was in use
//   decrease  at once: x 0.9, at least by one; on a failure, or when more than a tenth of a round was above the target
//             (so a few slow ones among many, which every network has, are none)
//   deaf      operations that had begun before a decrease tell of the limit that was too large, and do not count: one
//             burst of errors is one decrease

#include <magpie/combinators/detail/limit_sample.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/config.hpp>

#include <cstddef>

namespace magpie::detail {

// No clock, no lock.
class aimd_limit {
public:
    // Checked settings.
    explicit aimd_limit(limit_config const& settings) noexcept;

    std::size_t limit() const noexcept { return limit_; }
    void add(limit_sample const& sample) noexcept;

    // From now on between these bounds, with this target. What was learnt stays.
    void configure(limit_config const& settings) noexcept;
    // Goes there, within the bounds, and on from there.
    void move_to(std::size_t limit) noexcept;

private:
    void begin_round() noexcept;

    std::size_t min_;
    std::size_t max_;
    duration target_;
    std::size_t limit_;
    time_point deaf_until_ = time_point::min();
    std::size_t samples_ = 0;  // of this round
    std::size_t slow_ = 0;
    bool in_use_ = false;
};

}  // namespace magpie::detail
