#include <magpie/combinators/detail/gradient_limit.hpp>

#include <algorithm>
#include <cmath>

namespace magpie::detail {

namespace {

constexpr double tolerance = 1.1;      // so much slower than the baseline is as fast
constexpr double steepest = 0.5;       // the least gradient
constexpr double way = 0.5;            // of each step
constexpr double disagreement = 1.25;  // between a baseline and the next: another probe is due soon
constexpr double pull = 0.2;           // of a round that is faster than the baseline
constexpr std::size_t least_samples = 16;

}  // namespace

gradient_limit::gradient_limit(limit_config const& settings) noexcept
    : min_(settings.min), max_(settings.max), limit_(settings.initial) {}

std::size_t gradient_limit::probed() const noexcept {
    return std::max(static_cast<std::size_t>(min_), (whole() + 1) / 2);
}

void gradient_limit::add(limit_sample const& sample) noexcept {
    if (sample.ended() + other_clock < since_) {
        since_ = time_point::min();
    }
    if (sample.began < since_) {
        return;
    }
    ++now_.samples;
    now_.most = std::max(now_.most, sample.in_flight);
    now_.in_use = now_.in_use || sample.full;
    if (!sample.succeeded) {
        ++now_.failures;
    } else if (sample.latency >= duration::zero()) {
        ++now_.timed;
        now_.log_latency += std::log(static_cast<double>(std::max<duration::rep>(sample.latency.count(), 1)));
    }
    if (now_.samples >= std::max(limit(), least_samples)) {
        end_round(sample.ended());
    }
}

void gradient_limit::end_round(time_point now) noexcept {
    std::size_t const before = limit();
    double slowdown = 0;  // the logarithm of present latency to baseline
    if (now_.timed > 0) {
        double const present = now_.log_latency / static_cast<double>(now_.timed);
        look_at_baseline(present, probing_ || now_.most <= calm_);
        slowdown = present - baseline_;
    }
    if (!probing_) {
        step(slowdown);
    }
    plan_next_round();
    if (limit() != before) {
        since_ = now;
    }
    now_ = {};
}

void gradient_limit::look_at_baseline(double present, bool calm) noexcept {
    if (!has_baseline_ || calm) {
        bool const confirmed = has_baseline_ && std::abs(present - baseline_) < std::log(disagreement);
        between_probes_ = confirmed ? std::min(between_probes_ * 2, most_between_probes) : least_between_probes;
        rounds_to_probe_ = between_probes_;
        calm_ = 0;
        baseline_ = present;
        has_baseline_ = true;
    } else if (present < baseline_) {
        baseline_ += pull * (present - baseline_);
    }
}

void gradient_limit::step(double slowdown) noexcept {
    double const successes = 1 - static_cast<double>(now_.failures) / static_cast<double>(now_.samples);
    double const gradient = std::max(steepest, std::min(1.0, tolerance * std::exp(-slowdown)) * successes);
    double const wanted = limit_ * gradient + std::sqrt(limit_);
    if (wanted < limit_ || now_.in_use) {
        limit_ = std::clamp(limit_ + way * (wanted - limit_), min_, max_);
    }
}

void gradient_limit::plan_next_round() noexcept {
    calm_ = std::max(calm_, (whole() + 1) / 2);
    if (probing_) {
        probing_ = false;
    } else if (--rounds_to_probe_ == 0) {
        probing_ = true;
        rounds_to_probe_ = between_probes_;
    }
}

void gradient_limit::configure(limit_config const& settings) noexcept {
    min_ = settings.min;
    max_ = settings.max;
    move_to(whole());
}

void gradient_limit::move_to(std::size_t limit) noexcept {
    limit_ = std::clamp(static_cast<double>(limit), min_, max_);
    probing_ = false;
    now_ = {};
}

}  // namespace magpie::detail
