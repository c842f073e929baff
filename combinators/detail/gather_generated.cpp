#include <magpie/combinators/detail/gather_generated.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/errors.hpp>

namespace magpie::detail {

void generated_gather_base::take(completion_end ended) noexcept {
    if (ended.how() == status::item) {
        settle(*ended.who());
        release(*ended.who());
    } else {
        over_ = true;
        cancelled_ = ended.how() == status::cancelled;
    }
}

void generated_gather_base::settle(completion_child& child) noexcept {
    bool const was_cancelled = child.cancelled();
    try {
        std::exception_ptr error = keep(child);
        if (error == nullptr || settled_ || (was_cancelled && over_)) {
            return;
        }
        fail(std::move(error), cancel_rest_);
    } catch (...) {  // no memory for the result
        fail(std::current_exception(), true);
    }
}

void generated_gather_base::fail(std::exception_ptr error, bool cancels) noexcept {
    if (error_) {
        report_suppressed(std::move(error), "gather: a task failed after another had failed");
    } else {
        error_ = std::move(error);
    }
    over_ = over_ || cancels;
}

void generated_gather_base::check() {
    while (completion_node* const node = take_left()) {
        settle(*static_cast<completion_child*>(node));
    }
    if (error_) {
        std::rethrow_exception(std::move(error_));
    }
    if (cancelled_) {
        deliver_cancellation(parent_);
    }
}

}  // namespace magpie::detail
