#include <magpie/combinators/retry.hpp>

#include <magpie/runtime/this_task.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace magpie::detail {

void check(retry_options const& options) {
    bool const sound = options.attempts >= 1 && options.backoff >= duration::zero() && options.factor >= 1 &&
                       std::isfinite(options.factor) && options.jitter >= 0 && options.jitter <= 1 &&
                       options.max_backoff >= duration::zero() && options.time_limit >= duration::zero();
    if (!sound) {
        throw std::invalid_argument("retry options need attempts >= 1, factor >= 1, jitter from 0 to 1, "
                                    "and durations that are not negative");
    }
}

std::optional<duration> retry_pauses::after(int attempt, time_point begun) {
    if (attempt >= options_->attempts) {
        return std::nullopt;
    }
    constexpr double longest = 9.0e18;  // a little less than duration::max()
    double nanoseconds = static_cast<double>(options_->backoff.count()) * std::pow(options_->factor, attempt - 1);
    if (options_->max_backoff != duration::zero()) {
        nanoseconds = std::min(nanoseconds, static_cast<double>(options_->max_backoff.count()));
    }
    duration const pause(static_cast<duration::rep>(std::min(jittered(nanoseconds), longest)));
    if (options_->time_limit != duration::zero() && now() - begun + pause > options_->time_limit) {
        return std::nullopt;
    }
    return pause;
}

double retry_pauses::jittered(double nanoseconds) {
    if (options_->jitter == 0 || nanoseconds == 0) {
        return nanoseconds;
    }
    if (!random_) {
        // Operations that failed together must not come back together. Repeatable under the simulated clock.
        auto const time = static_cast<std::uint64_t>(now().time_since_epoch().count());
        random_.emplace(time ^ (this_task::id() << 40));
    }
    double const unit = static_cast<double>(random_->next() >> 11) * 0x1.0p-53;  // from 0 to below 1
    return std::round(nanoseconds * (1 + options_->jitter * (2 * unit - 1)));
}

} // namespace magpie::detail
