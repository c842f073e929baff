#pragma once

// The parts of a batch's driver that do not depend on what becomes of the results; see batch_core.hpp.

#include <magpie/combinators/detail/batch_core.hpp>
#include <magpie/combinators/detail/expected_like.hpp>
#include <magpie/combinators/detail/limit_control.hpp>
#include <magpie/combinators/detail/retry_policy.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <exception>
#include <type_traits>

namespace magpie::detail {

// The options, checked, in the form in which a batch needs them.
struct batch_settings {
    batch_limits limits;
    retry_options retry;
    duration timeout{};  // of each attempt; 0 = none
    bool expected_is_value = false;
    bool cancels_rest = true;  // an item's error cancels the others
    bool throws = true;        // and is thrown in the end
};

// Throws std::invalid_argument if something is out of range; usage_error if inputs that cannot be repeated shall be.
void check(batch_settings const& settings, bool repeats);

template <class T, class Input>
class item_slot final : public batch_slot {
public:
    // The finish function of an attempt: on whichever worker it ended.
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& attempt = static_cast<record&>(context);
        attempt.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(attempt.handle.address());
        if (kind == finish_kind::ran) {
            auto& result = static_cast<item_slot&>(*attempt.slot).result;
            try {
                result.take(frame.promise().result());
            } catch (...) {  // the value's move constructor
                result.set_error(std::current_exception());
            }
        }
        frame.destroy();
        attempt.batch->ended(attempt);
        return std::noop_coroutine();
    }

    // True if the attempt did not end by itself: cancelled, or never begun.
    bool cancelled() noexcept { return result.has_error() ? is_cancellation(result.error()) : !result.has_value(); }
    // True if it threw, or gave an expected-like without a value.
    bool failed(bool expected_is_value) noexcept {
        if (!result.has_value()) {
            return true;
        }
        if constexpr (std::is_void_v<T>) {
            return false;
        } else {
            return !expected_is_value && holds_error(result.value());
        }
    }
    void clear() noexcept {
        result.reset();
        input.reset();
    }

    Input input;
    result_slot<T> result;  // empty after an attempt that never began
};

// The part of the driver that does not depend on the types.
class batch_driver : public batch_core {
protected:
    explicit batch_driver(batch_settings const& settings) noexcept
        : batch_core(settings.limits), settings_(settings), pauses_(settings_.retry) {}
    ~batch_driver() = default;

    // Keeps the first error, reports the others. `cancels`: nothing more starts, and what runs is asked to end.
    void fail(std::exception_ptr error, bool cancels) noexcept;
    // Because of an error.
    bool stopped() const noexcept { return stopped_; }
    // An item that ends cancelled was asked to, by us.
    bool going_down() const noexcept { return stopped_ || cut_off_ || passed_on(); }
    // The awaiting task was asked to end before everything had started.
    void cut_off() noexcept { cut_off_ = true; }
    // The results are not wanted any more: nothing more starts, and what runs is asked to end.
    void abandon() noexcept;
    // After everything: an error that nobody has seen is suppressed.
    void drop_error(char const* what) noexcept;
    // A request has reached the items, or would have: it stays so also if the request is taken back, for items were
    // dropped, or never begun, because of it.
    bool asked_or_cut_off() const noexcept { return asked_to_end() || passed_on() || cut_off_; }
    // After everything: throws the error, or the awaiting task's cancellation if it had a part in the ending, or, if
    // that request was taken back meanwhile, child_cancelled for the items that are missing. Once: then it is the end.
    void check_end();

    batch_settings const settings_;
    retry_pauses pauses_;

private:
    std::exception_ptr error_;
    bool stopped_ = false;
    bool cut_off_ = false;
    bool told_ = false;  // how it ended
};

}  // namespace magpie::detail
