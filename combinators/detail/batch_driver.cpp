#include <magpie/combinators/detail/batch_driver.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

#include <cmath>
#include <stdexcept>
#include <utility>

namespace magpie::detail {

void batch_driver::fail(std::exception_ptr error, bool cancels) noexcept {
    if (error_) {
        report_suppressed(std::move(error), "batch: an item failed after another had failed");
    } else {
        error_ = std::move(error);
    }
    if (cancels && !stopped_) {
        stopped_ = true;
        if (!passed_on()) {
            cancel_items();
        }
    }
}

void batch_driver::abandon() noexcept {
    if (!std::exchange(stopped_, true) && !passed_on()) {
        cancel_items();
    }
}

void batch_driver::drop_error(char const* what) noexcept {
    if (error_) {
        report_suppressed(std::exchange(error_, nullptr), what);
    }
}

void batch_driver::check_end() {
    if (error_) {
        told_ = true;
        std::rethrow_exception(std::exchange(error_, nullptr));
    }
    if ((cut_off_ || passed_on()) && !std::exchange(told_, true)) {
        if (asked_to_end()) {
            deliver_cancellation(parent());
        }
        throw_child_cancelled();
    }
}

void check(batch_settings const& settings, bool repeats) {
    check(settings.retry);
    if (settings.limits.shared == nullptr && settings.limits.count < 1) {
        throw std::invalid_argument("a batch needs a limit of 1 or more");
    }
    if (!std::isfinite(settings.limits.rate) || settings.limits.rate < 0) {
        throw std::invalid_argument("a batch's rate must not be negative");
    }
    if (settings.timeout < duration::zero()) {
        throw std::invalid_argument("per_item_timeout must not be negative");
    }
    if (settings.retry.attempts > 1 && !repeats) {
        throw usage_error(
            "items that the function takes over, and that cannot be copied, cannot be tried again: let it "
            "take them by reference");
    }
}

}  // namespace magpie::detail
