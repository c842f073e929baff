#pragma once

#include <magpie/runtime/clock.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>

namespace magpie::detail {

// Tokens that come at a steady rate, up to a number that can be saved. Full at first. Not synchronised.
//
// Counts whole tokens from the moment at which the bucket was last full, so that nothing is rounded twice: the m-th
// token after that moment exists from m / rate on, to the nanosecond, however many were taken in between.
class token_bucket {
public:
    token_bucket(double per_second, std::uint64_t burst) noexcept : per_second_(per_second), burst_(burst) {}

    std::uint64_t burst() const noexcept { return burst_; }

    // From when on there will be n <= burst() tokens, if nobody takes any until then. Not after `now`: they are there.
    time_point due(std::uint64_t n, time_point now) noexcept {
        if (taken_ == 0 || made(taken_) <= now) {
            full_at_ = now;
            taken_ = 0;
        }
        return taken_ + n <= burst_ ? now : made(taken_ + n - burst_);
    }

    // After due(n, now) said that they are there.
    void take(std::uint64_t n) noexcept { taken_ += n; }

private:
    time_point made(std::uint64_t tokens) const noexcept {
        // Never a nanosecond too late because of a rate that has no exact double.
        constexpr double tolerance = 1e-3;
        constexpr double longest = 9.0e18;
        double const nanoseconds = std::ceil(static_cast<double>(tokens) * 1e9 / per_second_ - tolerance);
        if (nanoseconds >= longest) {
            return time_point::max();
        }
        duration const wait(static_cast<duration::rep>(nanoseconds));
        return full_at_ > time_point::max() - wait ? time_point::max() : full_at_ + wait;
    }

    double per_second_;
    std::uint64_t burst_;
    time_point full_at_{};
    std::uint64_t taken_ = 0;  // since then
};

} // namespace magpie::detail
