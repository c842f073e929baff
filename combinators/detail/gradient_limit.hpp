#pragma once

// Follows the ratio of the server's own latency (the baseline) to the present one. In the spirit of L. Brakmo,
// L. Peterson, "TCP Vegas" (1995), of Gradient2 of Netflix's concurrency-limits, and of Envoy's adaptive concurrency:
//
//   new limit = limit x gradient + sqrt(limit),  gradient = tolerance x baseline / present latency, from 1/2 to 1
//
// of which the limit goes half the way. The root is the queue that it allows itself: enough to find room that has come
// up, little enough to be seen in the latency.
//
//   round      as many samples as the limit, at least 16, of operations that began after its last change: what began
//              earlier tells of another limit. It ends with one step.
//   latency    the geometric mean of a round: a mean of many, so that noise averages out, and one on which a few
//              stragglers have no hold. (Cheap and expensive operations do not belong under one limit.)
//   failures   only work that succeeds counts: the gradient is multiplied by the share of successes
//   not used   a limit that nobody reached in the round does not grow
//
// The baseline is what such algorithms stumble over. The least latency ever seen is wrong for good when the server has
// become slower; an average that follows the present latency takes the queue of one's own making for the server's
// nature, and the limit drifts away; a look with a single operation in flight costs throughput, and is one sample. So:
//
//   A round with at most half of the recent limit in flight has no queue of one's own: its latency is the baseline now,
//   whether lower or higher. Such rounds come by themselves when there is little to do, and when the limit has come down
//   by half; else every so often one is made, by halving the limit for one round (a probe). Probes become rare, down to
//   one round in 65, as long as they confirm the baseline, and frequent when one does not: so a first limit far above
//   the capacity is halved again and again, and a server that became slower for good is left alone after one halving.
//   Between them a round faster than the baseline pulls it down a little.

#include <magpie/combinators/detail/limit_sample.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/config.hpp>

#include <cstddef>

namespace magpie::detail {

// No clock, no lock.
class gradient_limit {
public:
    // Checked settings.
    explicit gradient_limit(limit_config const& settings) noexcept;

    // During a probe: that of the probe.
    std::size_t limit() const noexcept { return probing_ ? probed() : whole(); }
    void add(limit_sample const& sample) noexcept;

    // From now on between these bounds. What was learnt stays.
    void configure(limit_config const& settings) noexcept;
    // Goes there, within the bounds, and on from there.
    void move_to(std::size_t limit) noexcept;

private:
    // Between two steps.
    struct round {
        std::size_t samples = 0;
        std::size_t failures = 0;
        std::size_t timed = 0;   // successes whose latency is known
        double log_latency = 0;  // the sum over these
        std::size_t most = 0;    // in flight
        bool in_use = false;
    };

    std::size_t whole() const noexcept { return static_cast<std::size_t>(limit_); }
    std::size_t probed() const noexcept;
    void end_round(time_point now) noexcept;
    void look_at_baseline(double present, bool calm) noexcept;
    void step(double slowdown) noexcept;
    void plan_next_round() noexcept;

    static constexpr unsigned most_between_probes = 64;
    static constexpr unsigned least_between_probes = 4;

    double min_;
    double max_;
    double limit_;
    double baseline_ = 0;  // the logarithm of nanoseconds
    bool has_baseline_ = false;
    std::size_t calm_ = 0;  // with at most so many in flight there is no queue
    bool probing_ = false;
    unsigned between_probes_ = least_between_probes;
    unsigned rounds_to_probe_ = least_between_probes;
    time_point since_ = time_point::min();  // what began earlier tells of another limit
    round now_{};
};

}  // namespace magpie::detail
