#pragma once

// gather of a range with a limit or a progress report: a coroutine that makes the next task when a slot is free.
//
// The coroutine is the awaiting task itself, so that the range's own code, and on_progress, run in one task and one
// call at a time. A slot is a child's record; it is used again and again, and its value goes to a place of its own when
// its child ends, so that at most `limit` frames, and this one, are alive at any time.
//
// Of a range that holds tasks which run already the limit bounds how many are joined at a time. When nothing more is to
// be started the tasks that have not been taken from it run all the same: they are then taken all at once, each asked
// to end before its child begins, and joined like the others.

#include <magpie/combinators/detail/child_set.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

template <class T, bool Settled>
using gathered_range_t = std::conditional_t<std::is_void_v<T> && !Settled, void, std::vector<gathered_t<T, Settled>>>;

struct no_progress {};

template <class T, bool Settled>
class gather_slot final : public child_set::child {
public:
    using place = child_slot<T, Settled>;

    gather_slot(task<T>&& body, std::size_t index, place& where) noexcept
        : child(&gather_slot::finished), where_(&where), index_(index) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from
        frame.promise().run_as(*this);
        handle = frame;
    }

    std::size_t index() const noexcept { return index_; }
    std::exception_ptr& error() noexcept { return error_; }
    bool has_failed() const noexcept {
        if constexpr (Settled) {
            return !where_->has_value();
        } else {
            return error_ != nullptr;
        }
    }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<gather_slot&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        self.error_ =
            store_result<Settled, T>(*self.where_, kind == finish_kind::ran ? &frame.promise().result() : nullptr);
        frame.destroy();
        self.set->ended(self);
        return std::noop_coroutine();
    }

    place* where_;
    std::size_t index_;
    std::exception_ptr error_;
};

// The part that does not depend on the types: who is to blame, and whether to go on.
class gather_bounded_base : public child_set {
public:
    // True when nothing more is to be started.
    bool stopping() noexcept;
    // Something went wrong: keeps the first error, reports the others, and asks the rest to end if `cancel_rest`.
    void fail(std::exception_ptr error, bool cancel_rest) noexcept;

protected:
    explicit gather_bounded_base(task_context& parent) noexcept : child_set(parent), parent_(parent) {}
    ~gather_bounded_base() = default;

    // A child ended with this error.
    void child_failed(std::exception_ptr error, bool cancel_rest) noexcept;
    // After the join: throws the first error, or else the parent's own cancellation, if it had a part in the ending.
    void check();

    task_context& parent_;

private:
    std::exception_ptr error_;
    bool asked_ = false;      // the others were asked to end because of an error
    bool cancelled_ = false;  // a request to cancel the parent kept an item from starting
};

// The state of one bounded gather, owned by its coroutine.
template <class T, bool Settled, class Progress>
class gather_bounded_state final : public gather_bounded_base {
    using place = child_slot<T, Settled>;
    using slot = gather_slot<T, Settled>;
    static constexpr bool keeps_values = Settled || !std::is_void_v<T>;

public:
    gather_bounded_state(std::size_t limit, bool cancel_rest, std::optional<std::size_t> total, Progress& on_progress)
        : gather_bounded_base(*current_context()),
          limit_(limit == 0 ? std::numeric_limits<std::size_t>::max() : limit),
          cancel_rest_(cancel_rest),
          on_progress_(on_progress) {
        report_.total = total;
    }

    bool full() const noexcept { return live() >= limit_; }

    // A slot and a place for the next child: what may throw, before anything was taken from the range for it.
    void make_room() {
        if (free_.empty()) {
            slots_.emplace_back();
            free_.reserve(slots_.size());  // so that giving a slot back cannot fail
            free_.push_back(slots_.size() - 1);
        }
        if constexpr (keeps_values) {
            if (places_.size() == begun_) {
                places_.emplace_back();
            }
        }
    }
    // After make_room().
    void start(task<T>&& body) noexcept { child_set::start(parent_, record(std::move(body))); }
    void start_asked(task<T>&& body) noexcept { child_set::start_asked(parent_, record(std::move(body))); }
    void pass_on_requests() noexcept { child_set::pass_on_requests(parent_); }
    void range_ended() noexcept { report_.total = report_.done + live(); }

    // Takes back who has ended.
    void collect() {
        while (child* const each = take_ended()) {
            auto& ended = static_cast<slot&>(*each);
            ++report_.done;
            report_.failed += ended.has_failed() ? 1 : 0;
            if (ended.error()) {
                child_failed(std::move(ended.error()), cancel_rest_);
            }
            std::size_t const index = ended.index();
            slots_[index].reset();
            free_.push_back(index);
            tell();
        }
    }

    gathered_range_t<T, Settled> result() {
        check();
        if constexpr (keeps_values) {
            std::vector<gathered_t<T, Settled>> values;
            values.reserve(places_.size());
            for (place& each : places_) {
                values.push_back(each.take());
            }
            return values;
        }
    }

private:
    slot& record(task<T>&& body) noexcept {
        std::size_t const index = free_.back();
        free_.pop_back();
        ++begun_;
        return slots_[index].emplace(std::move(body), index, places_.back());
    }

    void tell() noexcept {
        if constexpr (!std::is_same_v<Progress, no_progress>) {
            report_.in_flight = live();
            if (telling_) {
                try {
                    on_progress_(std::as_const(report_));
                } catch (...) {
                    telling_ = false;
                    fail(std::current_exception(), cancel_rest_ || Settled);
                }
            }
        }
    }

    // While the parent is suspended, or by the parent: nobody changes slots_ meanwhile.
    bool request_all() noexcept override {
        bool taken = false;
        for (std::optional<slot>& each : slots_) {
            taken |= each.has_value() && each->request_cancel(request_origin::external);
        }
        return taken;
    }

    std::size_t limit_;
    bool cancel_rest_;
    bool telling_ = true;
    Progress& on_progress_;
    progress report_;
    std::deque<std::optional<slot>> slots_;
    std::vector<std::size_t> free_;
    std::size_t begun_ = 0;
    std::conditional_t<keeps_values, std::deque<place>, std::array<place, 1>> places_;
};

// Where a range is read: one element after the other, each as late as possible.
template <class R>
class range_cursor {
public:
    explicit range_cursor(std::remove_reference_t<R>& range) noexcept : range_(range) {}

    // Goes to the next element unless it has not been taken yet. False: there is none.
    bool next() {
        if (!at_) {
            at_.emplace(std::ranges::begin(range_));
        } else if (taken_) {
            ++*at_;  // as late as this: in a generator it makes the next task
        }
        taken_ = false;
        return *at_ != std::ranges::end(range_);
    }
    std::ranges::range_reference_t<R> get() { return **at_; }
    void taken() noexcept { taken_ = true; }

private:
    std::remove_reference_t<R>& range_;
    std::optional<std::ranges::iterator_t<R>> at_;
    bool taken_ = false;
};

// Nothing more is to be started, but of a range that holds handles everything runs.
template <bool Settled, class R, class State>
void begin_rest(State& state, range_cursor<R>& range) noexcept {
    if constexpr (holds_handles<R>) {
        try {
            state.pass_on_requests();  // before those begin that are asked here, so that each is asked once
            while (range.next()) {
                state.make_room();
                state.start_asked(as_child<Settled>(static_cast<range_argument_t<R>&&>(range.get())));
                range.taken();
            }
        } catch (...) {
            state.fail(std::current_exception(), true);
        }
    }
}

template <class T, bool Settled, class R, class Progress>
task<gathered_range_t<T, Settled>> gather_bounded(R range, std::size_t limit, bool cancel_rest, Progress on_progress) {
    std::optional<std::size_t> total;
    if constexpr (std::ranges::sized_range<R>) {
        total = static_cast<std::size_t>(std::ranges::size(range));
    }
    gather_bounded_state<T, Settled, Progress> state(limit, cancel_rest, total, on_progress);
    range_cursor<R> cursor(range);
    bool complete = false;
    try {
        for (;;) {
            while (state.full()) {
                co_await state.some_ended();
                state.collect();
            }
            state.collect();
            if (state.stopping()) {
                break;
            }
            if (!cursor.next()) {
                complete = true;
                state.range_ended();
                break;
            }
            state.make_room();
            state.start(as_child<Settled>(static_cast<range_argument_t<R>&&>(cursor.get())));
            cursor.taken();
        }
    } catch (...) {
        state.fail(std::current_exception(), true);
    }
    if (!complete) {
        begin_rest<Settled>(state, cursor);
    }
    while (state.live() != 0) {
        co_await state.some_ended();
        state.collect();
    }
    co_return state.result();
}

}  // namespace magpie::detail
