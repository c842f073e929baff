#pragma once

#include <magpie/combinators/completed_item.hpp>
#include <magpie/combinators/detail/batch_core.hpp>
#include <magpie/combinators/detail/batch_driver.hpp>
#include <magpie/combinators/detail/batch_input.hpp>
#include <magpie/combinators/detail/timeout_awaiter.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/outcome.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

enum class batch_mode : std::uint8_t {
    values,    // the values, in input order; an error cancels the rest
    outcomes,  // outcomes, in input order
    nothing,   // no results are kept
    stream,    // each result is kept until it is asked for
};

// What is kept of an item until the end.
template <class T, batch_mode Mode>
using batch_place = std::conditional_t<Mode == batch_mode::outcomes, outcome<T>, std::optional<stored_t<T>>>;

template <class T, batch_mode Mode>
struct batch_result {
    using type = std::conditional_t<Mode == batch_mode::outcomes, std::vector<outcome<T>>, std::vector<stored_t<T>>>;
};
template <class T, batch_mode Mode>
    requires(Mode == batch_mode::nothing || Mode == batch_mode::stream ||
             (Mode == batch_mode::values && std::is_void_v<T>))
struct batch_result<T, Mode> {
    using type = void;
};
template <class T, batch_mode Mode>
using batch_result_t = typename batch_result<T, Mode>::type;

struct silent_progress {};

template <class T>
task<T> run_for(duration limit, task<T> body) {
    co_return co_await timeout_awaiter<task<T>>(limit, std::move(body));
}

// The driver of one batch; see batch_core.hpp.
template <batch_mode Mode, class Inputs, class Fn, class Pred, class Progress>
class batch_run final : public batch_driver {
    using input = typename Inputs::input;
    using value = typename input::result;
    using slot = item_slot<value, input>;
    static constexpr bool keeps = !std::is_void_v<batch_result_t<value, Mode>>;
    static constexpr bool streams = Mode == batch_mode::stream;
    struct no_places {};
    struct no_items {};

public:
    batch_run(Inputs& inputs, Fn& fn, Pred& pred, Progress& on_progress, batch_settings const& settings)
        : batch_driver(settings), inputs_(inputs), fn_(fn), pred_(pred), on_progress_(on_progress) {
        report_.total = inputs_.size();
    }

    // For a stream.
    using batch_core::give_up_place;
    using batch_core::parent;
    using batch_core::take_events;
    using batch_driver::abandon;

    // One turn of the driver. True: everything has ended. False: wait for some_event().
    bool turn() noexcept {
        take_events();
        while (batch_slot* const each = take_ended()) {
            settle(static_cast<slot&>(*each));
        }
        if (start_some()) {
            return false;
        }
        if (stopped() && !fetching()) {
            drop_fetched();
        }
        return at_rest();
    }

    // Stream: a result that was not asked for, in the order of the ends.
    std::optional<completed_item<value>> take_item() {
        std::optional<completed_item<value>> item;
        if (!items_.empty()) {
            item.emplace(std::move(items_.front()));
            items_.pop_front();
        }
        return item;
    }
    // Stream: nobody asks any more. Reports what failed unseen, as suppressed.
    void drop_rest() noexcept {
        for (; !items_.empty(); items_.pop_front()) {
            auto const& unread = items_.front().result;
            if (!unread.has_value() && !unread.cancelled()) {
                report_suppressed(unread.error(), "batch_stream: nobody asked for the result of an item that failed");
            }
        }
        drop_error("batch_stream: an item failed after the consumer had left");
    }

    batch_result_t<value, Mode> result() {
        check_end();
        if constexpr (keeps) {
            batch_result_t<value, Mode> values;
            values.reserve(places_.size());
            for (; !places_.empty(); places_.pop_front()) {  // gives its memory back as it goes
                if constexpr (Mode == batch_mode::outcomes) {
                    values.push_back(std::move(places_.front()));
                } else {
                    values.push_back(std::move(*places_.front()));
                }
            }
            return values;
        }
    }

private:
    static constexpr int starts_per_turn = 256;

    // Starts what may start. False: nothing more is to be started, now or later.
    bool start_some() noexcept {
        try {
            for (int started = 0; !stopped(); ++started) {
                bool const ends_early = asked_or_cut_off();
                input_state const input = inputs_.look(*this, ends_early);
                if (input == input_state::none_left) {
                    report_.total = begun_;
                    if (pausing() == 0) {
                        return false;
                    }
                }
                if (ends_early) {
                    cut_off();
                    break;
                }
                batch_slot* const again = due_slot();
                if (again == nullptr && (input != input_state::ready || pausing() >= most_pausing())) {
                    return true;
                }
                if (started == starts_per_turn) {
                    come_back();
                    return true;
                }
                if (holds_enough() || !may_start()) {
                    return true;
                }
                if (again != nullptr) {
                    end_pause_of_due_slot();
                    launch(static_cast<slot&>(*again));
                } else {
                    launch(next_item());
                }
            }
        } catch (...) {
            fail(std::current_exception(), true);
        }
        while (batch_slot* const each = drop_pausing()) {
            release(static_cast<slot&>(*each));
        }
        return false;
    }

    // What the generator threw while it went down with the items is an error like theirs.
    void drop_fetched() noexcept {
        if (std::exception_ptr error = inputs_.drop_fetched()) {
            fail(std::move(error), false);
        }
    }

    // Results that wait for the consumer count as if they still ran. Without any, the driver queues up for a place like
    // others: it hears of a limit that grows.
    bool holds_enough() const noexcept {
        if constexpr (streams) {
            return !items_.empty() && running() + items_.size() >= most_at_once();
        } else {
            return false;
        }
    }

    // A slot with the next input. If taking it throws, the slot is left for the next one.
    slot& next_item() {
        if (spare_ == nullptr) {
            spare_ = static_cast<slot*>(take_free_slot());
            if (spare_ == nullptr) {
                spare_ = new slot();
                add_slot(*spare_);
            }
        }
        inputs_.take_next(spare_->input);
        if constexpr (keeps) {
            places_.emplace_back();
        }
        slot& item = *std::exchange(spare_, nullptr);
        item.index = begun_++;
        item.attempt = 0;
        return item;
    }

    void launch(slot& item) noexcept {
        if (item.attempt++ == 0 && settings_.retry.attempts > 1) {
            item.begun = now();  // only retries look at it, and a look at the clock is a quarter of an item's price
        }
        try {
            task<value> body = item.input.call(fn_, item.attempt >= settings_.retry.attempts);
            if (settings_.timeout != duration::zero()) {
                body = run_for<value>(settings_.timeout, std::move(body));
            }
            auto& attempt = make_record(item, &slot::finished);
            auto const frame = release_frame(std::move(body));
            frame.promise().run_as(attempt);
            start(attempt, frame);
            return;
        } catch (...) {  // the function itself threw: no frame was made
            item.result.set_error(std::current_exception());
            forget_time(item);
        }
        settle(item);
    }

    // An attempt is over.
    void settle(slot& item) noexcept {
        bool const cancelled = item.cancelled();
        if (cancelled && going_down()) {
            release(item);
            return;
        }
        bool const failed = item.failed(settings_.expected_is_value);
        if (!cancelled && !(failed && going_down())) {  // who was asked to end tells nothing of the server
            tell_limiter(item, !failed);
        }
        try {
            if (!cancelled && !going_down() && wants_retry(item)) {
                if (auto const pause_after = pauses_.after(item.attempt, item.begun)) {
                    item.due = now() + *pause_after;
                    pause(item);
                    item.result.reset();
                    return;
                }
            }
            keep(item, cancelled);
        } catch (...) {
            fail(std::current_exception(), true);
        }
        ++report_.done;
        report_.failed += failed ? 1 : 0;
        release(item);
        tell();
    }

    bool wants_retry(slot& item) {
        if (item.attempt >= settings_.retry.attempts) {
            return false;
        }
        if (!item.result.has_value()) {
            return error_asks_for_retry(pred_, item.result.error());
        }
        if constexpr (std::is_void_v<value> || std::is_reference_v<value>) {
            return false;
        } else if (settings_.expected_is_value && holds_error(item.result.value())) {
            return false;
        } else {
            return value_asks_for_retry(pred_, std::as_const(item.result.value()));
        }
    }

    // Stores how the item ended for good.
    void keep(slot& item, bool cancelled) {
        if constexpr (Mode == batch_mode::outcomes) {
            store_outcome(item, cancelled, places_[item.index]);
        } else if (!item.result.has_value() && (!streams || settings_.throws)) {
            if (settings_.throws) {
                fail(cancelled ? child_cancelled_ptr() : std::move(item.result.error()), settings_.cancels_rest);
            }
        } else if constexpr (streams) {
            outcome<value> how;
            store_outcome(item, cancelled, how);
            items_.emplace_back(item.index, std::move(how));
        } else if constexpr (keeps) {
            places_[item.index].emplace(std::move(item.result.value()));
        }
    }
    static void store_outcome(slot& item, bool cancelled, outcome<value>& place) {
        if (item.result.has_value()) {
            if constexpr (std::is_void_v<value>) {
                place.emplace();
            } else {
                place.emplace(unstore<value>(std::move(item.result.value())));
            }
        } else if (cancelled) {
            place.set_cancelled();
        } else {
            place.set_error(std::move(item.result.error()));
        }
    }

    void release(slot& item) noexcept {
        item.clear();
        free_slot(item);
    }

    void tell() noexcept {
        if constexpr (!std::same_as<Progress, silent_progress>) {
            if (!telling_) {
                return;
            }
            report_.in_flight = running();
            try {
                on_progress_(std::as_const(report_));
            } catch (...) {
                telling_ = false;
                fail(std::current_exception(), true);
            }
        }
    }

    Inputs& inputs_;
    Fn& fn_;
    Pred& pred_;
    Progress& on_progress_;
    [[no_unique_address]] std::conditional_t<keeps, std::deque<batch_place<value, Mode>>, no_places> places_;
    [[no_unique_address]] std::conditional_t<streams, std::deque<completed_item<value>>, no_items> items_;
    std::size_t begun_ = 0;    // inputs taken
    slot* spare_ = nullptr;
    progress report_;
    bool telling_ = true;
};

template <batch_mode Mode, class Inputs, class Fn, class Pred, class Progress>
task<batch_result_t<typename Inputs::input::result, Mode>> run_batch(Inputs inputs, Fn fn, Pred pred,
                                                                    Progress on_progress, batch_settings settings) {
    batch_run<Mode, Inputs, Fn, Pred, Progress> run(inputs, fn, pred, on_progress, settings);
    while (!run.turn()) {
        co_await run.some_event();
    }
    co_return run.result();
}

} // namespace magpie::detail
