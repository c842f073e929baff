#include <magpie/combinators/detail/gather_bounded.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

namespace magpie::detail {

bool gather_bounded_base::stopping() noexcept {
    if (parent_.shield_depth == 0 && parent_.request_pending()) {
        cancelled_ = true;
    }
    return asked_ || cancelled_;
}

void gather_bounded_base::child_failed(std::exception_ptr error, bool cancel_rest) noexcept {
    if (is_cancellation(error)) {
        if (asked_ || cancelled_ || request_accepted()) {
            return;
        }
        error = child_cancelled_ptr();
    }
    fail(std::move(error), cancel_rest);
}

void gather_bounded_base::fail(std::exception_ptr error, bool cancel_rest) noexcept {
    if (error_) {
        report_suppressed(std::move(error), "gather: a task failed after another had failed");
        return;
    }
    error_ = std::move(error);
    if (cancel_rest && !asked_) {
        asked_ = true;
        if (!request_accepted()) {
            request_all();
        }
    }
}

void gather_bounded_base::check() {
    if (error_) {
        std::rethrow_exception(std::move(error_));
    }
    if (cancelled_ || request_accepted()) {
        deliver_cancellation(parent_);
    }
}

}  // namespace magpie::detail
