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
    judge(child);
    ++report_.done;
    bool const all = made_all_.load(mo_acquire);  // pairs with the release in made_all()
    std::size_t const made = made_.load(mo_relaxed);
    report_.in_flight = made - report_.done;
    if (all) {
        report_.total = made;
    }
    if (!telling_) {
        return;
    }
    try {
        tell();
    } catch (...) {
        telling_ = false;
        fail(std::current_exception(), cancel_rest_ || settled_);
    }
}

void generated_gather_base::judge(completion_child& child) noexcept {
    bool const was_cancelled = child.cancelled();
    try {
        std::exception_ptr error = keep(child);
        report_.failed += error == nullptr ? 0 : 1;
        if (error == nullptr || settled_ || (was_cancelled && over_)) {
            return;
        }
        fail(std::move(error), cancel_rest_);
    } catch (...) {  // no memory for the result
        ++report_.failed;
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
