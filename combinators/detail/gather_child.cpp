#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

namespace magpie::detail {

void gather_join::failed(std::exception_ptr error) noexcept {
    if (is_cancellation(error)) {
        if (asked_.load(mo_acquire)) {  // pairs with the releases below
            return;
        }
        error = child_cancelled_ptr();
    }
    inject_point();
    if (claimed_.exchange(true, mo_relaxed)) {
        report_suppressed(std::move(error), "gather: a task failed after another had failed");
        return;
    }
    error_ = std::move(error);
    if (cancel_rest_) {
        wind_down();
    }
}

void gather_join::source_failed(std::exception_ptr error) noexcept {
    if (claimed_.exchange(true, mo_relaxed)) {
        report_suppressed(std::move(error), "gather: the range failed after a task had failed");
    } else {
        error_ = std::move(error);
    }
    wind_down();
}

void gather_join::wind_down() noexcept {
    asked_.store(true, mo_release);  // pairs with the acquires in failed() and asked()
    // release: pairs with the acquire in cancel_children()
    if (!winding_down_.exchange(true, mo_release)) {
        request_all();
    }
}

bool gather_join::cancel_children() noexcept {
    if (winding_down_.load(mo_acquire)) {  // pairs with the release in failed()
        return false;
    }
    asked_.store(true, mo_release);  // pairs with the acquire in failed()
    return request_all();
}

void gather_join::throw_reason() {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    if (claimed_.load(mo_relaxed)) {
        std::rethrow_exception(std::move(error_));
    }
    deliver_cancellation(*context);
}

}  // namespace magpie::detail
