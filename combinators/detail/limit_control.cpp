#include <magpie/combinators/detail/limit_control.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace magpie::detail {

limit_control::limit_control(limit_config const& settings)
    : places_(static_cast<std::ptrdiff_t>(checked(settings).initial), semaphore_core::bound::limit),
      measures_(settings.kind != limit_kind::fixed),
      algorithm_(algorithm_of(settings)),
      wanted_(settings.initial) {}

limit_config const& limit_control::checked(limit_config const& settings) {
    if (settings.initial < 1 || std::cmp_greater(settings.initial, semaphore_core::most)) {
        throw std::invalid_argument("a limiter needs a limit from 1 to semaphore::max()");
    }
    if (settings.kind == limit_kind::fixed) {
        return settings;
    }
    if (settings.min < 1 || settings.min > settings.initial || settings.initial > settings.max ||
        std::cmp_greater(settings.max, semaphore_core::most)) {
        throw std::invalid_argument("an adaptive limiter needs 1 <= min <= initial <= max <= semaphore::max()");
    }
    if (settings.target < duration::zero()) {
        throw std::invalid_argument("a limiter's target must not be negative");
    }
    return settings;
}

limit_control::algorithm limit_control::algorithm_of(limit_config const& settings) noexcept {
    switch (settings.kind) {
    case limit_kind::fixed:
        break;
    case limit_kind::aimd:
        return aimd_limit(settings);
    case limit_kind::gradient:
        return gradient_limit(settings);
    }
    return fixed_limit();
}

void limit_control::record(bool succeeded, time_point began, duration latency,
                           semaphore_core::usage at_begin) noexcept {
    count(succeeded);
    if (measures()) {
        feed({.began = began,
              .latency = latency,
              .succeeded = succeeded,
              .full = at_begin.full,
              .in_flight = at_begin.taken});
    }
}

void limit_control::record_untimed(bool succeeded) noexcept {
    count(succeeded);
    if (measures()) {
        semaphore_core::usage const use = in_use();
        feed({.began = now(), .succeeded = succeeded, .full = use.full, .in_flight = use.taken});
    }
}

void limit_control::feed(limit_sample const& sample) noexcept {
    bool changed = false;
    {
        std::lock_guard const lock(lock_);
        untimed_to_ignore_ = std::min(untimed_to_ignore_, sample.in_flight);  // the others of then have ended, unrecorded
        if (sample.latency < duration::zero() && untimed_to_ignore_ > 0) {
            --untimed_to_ignore_;
            return;
        }
        auto const add = [&](auto& adaptive) {
            if constexpr (requires { adaptive.add(sample); }) {
                adaptive.add(sample);
                changed = want(adaptive.limit());
            }
        };
        std::visit(add, algorithm_);
    }
    if (changed) {
        apply();
    }
}

bool limit_control::want(std::size_t limit) noexcept {
    std::size_t const before = wanted_.load(mo_relaxed);
    if (limit < before) {
        untimed_to_ignore_ = places_.in_use().taken;
    }
    wanted_.store(limit, mo_relaxed);
    return limit != before;
}

void limit_control::apply() noexcept {
    // acq_rel: pairs with itself; who carries over sees what those wanted who have counted themselves in.
    if (appliers_.fetch_add(1, mo_acq_rel) != 0) {
        return;
    }
    unsigned mine = 1;
    for (;;) {
        places_.resize(static_cast<std::ptrdiff_t>(wanted_.load(mo_relaxed)));
        unsigned const before = appliers_.fetch_sub(mine, mo_acq_rel);  // pairs with the fetch_add above
        if (before == mine) {
            return;
        }
        mine = before - mine;
    }
}

void limit_control::resize(std::ptrdiff_t n) {
    if (n < 1 || n > semaphore_core::most) {
        throw std::invalid_argument("a limiter needs a limit from 1 to semaphore::max()");
    }
    {
        std::lock_guard const lock(lock_);
        auto const move = [&](auto& adaptive) {
            if constexpr (requires { adaptive.move_to(std::size_t{}); }) {
                adaptive.move_to(static_cast<std::size_t>(n));
                want(adaptive.limit());
            } else {
                want(static_cast<std::size_t>(n));
            }
        };
        std::visit(move, algorithm_);
    }
    apply();
}

void limit_control::configure(limit_config const& settings) {
    algorithm const fresh = algorithm_of(checked(settings));
    {
        std::lock_guard const lock(lock_);
        if (fresh.index() != algorithm_.index()) {
            algorithm_ = fresh;
            want(settings.initial);
        } else {
            auto const change = [&](auto& adaptive) {
                if constexpr (requires { adaptive.configure(settings); }) {
                    adaptive.configure(settings);
                    want(adaptive.limit());
                } else {
                    want(settings.initial);
                }
            };
            std::visit(change, algorithm_);
        }
        measures_.store(settings.kind != limit_kind::fixed, mo_relaxed);
    }
    apply();
}

limit_kind limit_control::kind() const noexcept {
    std::lock_guard const lock(lock_);
    return static_cast<limit_kind>(algorithm_.index());
}

}  // namespace magpie::detail
