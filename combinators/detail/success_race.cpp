#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/success_race.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

#include <memory>

namespace magpie::detail {

void success_race_base::begun(completion_child& candidate) {
    std::unique_ptr<completion_child> held(&candidate);
    errors_.emplace_back();
    due_ = stagger_ == duration::zero();
    if (!due_ && stagger_ != duration::max()) {
        set_deadline(deadline_in(stagger_));
    }
    ++running_;
    start(parent_, *held.release());
}

bool success_race_base::over() noexcept {
    if (!over_ && parent_.shield_depth == 0 && parent_.request_pending()) {
        cancelled_ = true;
        over_ = true;
    }
    return over_;
}

void success_race_base::no_more() noexcept {
    may_begin_ = false;
    due_ = false;
    over_ = over_ || running_ == 0;
}

void success_race_base::source_failed(std::exception_ptr error) noexcept {
    source_error_ = std::move(error);
    over_ = true;
}

void success_race_base::take(completion_end ended) {
    switch (ended.how()) {
    case status::item:
        --running_;
        settle(*ended.who());
        break;
    case status::timed_out:
        due_ = true;
        break;
    case status::cancelled:
        cancelled_ = true;
        over_ = true;
        break;
    case status::none:
    case status::source_failed:
    case status::end:
        over_ = true;
        break;
    }
    if (due_ || over_) {
        clear_deadline();
    }
}

void success_race_base::settle(completion_child& candidate) {
    std::exception_ptr error = failure_of(candidate);
    if (error == nullptr) {
        winner_ = &candidate;
        over_ = true;
        return;
    }
    bool const last_begun = candidate.index + 1 == errors_.size();
    errors_[candidate.index] = std::move(error);
    release(candidate);
    due_ = due_ || (may_begin_ && last_begun);
    over_ = over_ || (!may_begin_ && running_ == 0);
}

std::size_t success_race_base::conclude() {
    if (winner_ == nullptr && cancelled_) {
        // Whoever has succeeded in spite of the request.
        while (completion_node* const node = take_left()) {
            auto& candidate = *static_cast<completion_child*>(node);
            if (candidate.index != no_candidate && failure_of(candidate) == nullptr) {
                winner_ = &candidate;
                break;
            }
            if (std::exception_ptr error = candidate.failure()) {
                report_suppressed(std::move(error), "first_success: a candidate failed while it was being cancelled");
            }
        }
    }
    if (winner_ != nullptr) {
        return winner_->index;
    }
    if (source_error_) {
        std::rethrow_exception(std::move(source_error_));
    }
    if (cancelled_) {
        deliver_cancellation(parent_);
    }
    throw exception_group(std::move(errors_));
}

}  // namespace magpie::detail
