#include <magpie/combinators/detail/aimd_limit.hpp>

#include <algorithm>

namespace magpie::detail {

aimd_limit::aimd_limit(limit_config const& settings) noexcept
    : min_(settings.min), max_(settings.max), target_(settings.target), limit_(settings.initial) {}

void aimd_limit::add(limit_sample const& sample) noexcept {
    if (sample.ended() + other_clock < deaf_until_) {
        deaf_until_ = time_point::min();
    }
    bool const is_timed = sample.latency >= duration::zero();
    if (sample.began < deaf_until_ || (is_timed && sample.ended() <= deaf_until_)) {
        return;
    }
    ++samples_;
    slow_ += target_ > duration::zero() && sample.latency > target_ ? 1 : 0;
    in_use_ = in_use_ || sample.full;
    constexpr std::size_t tolerated = 10;  // one slow sample in so many
    if (!sample.succeeded || slow_ * tolerated > limit_) {
        limit_ = std::max(min_, limit_ * 9 / 10);
        deaf_until_ = sample.ended();
        begin_round();
    } else if (samples_ >= limit_) {
        limit_ = std::min(max_, limit_ + (in_use_ ? 1 : 0));
        begin_round();
    }
}

void aimd_limit::begin_round() noexcept {
    samples_ = 0;
    slow_ = 0;
    in_use_ = false;
}

void aimd_limit::configure(limit_config const& settings) noexcept {
    min_ = settings.min;
    max_ = settings.max;
    target_ = settings.target;
    move_to(limit_);
}

void aimd_limit::move_to(std::size_t limit) noexcept {
    limit_ = std::clamp(limit, min_, max_);
    begin_round();
}

}  // namespace magpie::detail
