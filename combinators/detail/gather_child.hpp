#pragma once

// The children of a gather, and what they decide together.
//
// Each child writes its value into its own record, on whatever worker it ends; the values are put together by the
// parent after the join. What the children share:
//
//   claimed_       set once, by the first child that failed; that child, and nobody else, writes error_. Everybody who
//                  comes later reports its error as suppressed. error_ is read by the parent after the join.
//   winding_down_  the first error has sent a request to every sibling: a request to the parent need not be passed on.
//   asked_         requests were, or are about to be, sent to the children: one that ends cancelled did so for us.
//                  Set before the first request goes out, so that it is seen by a child that ends because of one.

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/outcome.hpp>
#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace magpie::detail {

// Where a child's value lies until the parent takes it. Nothing for void.
template <class T>
class value_slot {
public:
    using stored = stored_t<T>;

    value_slot() noexcept {}
    value_slot(value_slot const&) = delete;
    value_slot& operator=(value_slot const&) = delete;
    ~value_slot()
        requires std::is_trivially_destructible_v<stored>
    = default;
    ~value_slot() {
        if (full_) {
            std::destroy_at(std::addressof(value_));
        }
    }
    void store(stored&& value) {
        std::construct_at(std::addressof(value_), std::move(value));
        full_ = fullness(true);
    }
    stored&& take() noexcept { return std::move(value_); }

private:
    // Nobody asks how full a slot is that destroys nothing.
    struct unknown {
        constexpr explicit unknown(bool) noexcept {}
    };
    using fullness = std::conditional_t<std::is_trivially_destructible_v<stored>, unknown, bool>;

    union {
        stored value_;
    };
    [[no_unique_address]] fullness full_{false};
};

template <>
class value_slot<void> {
public:
    void store(std::monostate) noexcept {}
    std::monostate&& take() noexcept { return std::move(nothing); }

private:
    inline static std::monostate nothing;  // not a member: a record without a value shall not grow for it
};

// As value_slot, for those who want to see how the child ended. (Empty until then.)
template <class T>
class outcome_slot {
public:
    void store(stored_t<T>&& value) {
        if constexpr (std::is_void_v<T>) {
            outcome_.emplace();
        } else if constexpr (std::is_reference_v<T>) {
            outcome_.emplace(static_cast<T>(*value));
        } else {
            outcome_.emplace(std::move(value));
        }
    }
    void store_error(std::exception_ptr error) noexcept {
        if (is_cancellation(error)) {
            outcome_.set_cancelled();
        } else {
            outcome_.set_error(std::move(error));
        }
    }
    void store_cancelled() noexcept { outcome_.set_cancelled(); }
    bool has_value() const noexcept { return outcome_.has_value(); }
    outcome<T>&& take() noexcept { return std::move(outcome_); }
    outcome<T> const& peek() const noexcept { return outcome_; }

private:
    outcome<T> outcome_;
};

template <class T, bool Settled>
using child_slot = std::conditional_t<Settled, outcome_slot<T>, value_slot<T>>;

// What the parent gets for one child: an outcome, or the value as it can be kept (void: monostate, T&: T*).
template <class T, bool Settled>
using gathered_t = std::conditional_t<Settled, outcome<T>, stored_t<T>>;

// Takes a frame's result. Returns the error that has to be dealt with, or null. Null result: the frame never ran.
template <bool Settled, class T>
std::exception_ptr store_result(child_slot<T, Settled>& slot, result_slot<T>* result) noexcept {
    try {
        if (result == nullptr) {
            if constexpr (Settled) {
                slot.store_cancelled();
            }
        } else if (!result->has_error()) [[likely]] {
            slot.store(std::move(result->value()));
        } else if constexpr (Settled) {
            slot.store_error(std::move(result->error()));
        } else {
            return std::move(result->error());
        }
        return nullptr;
    } catch (...) {  // the value's move constructor threw: that is how the child ended
        if constexpr (Settled) {
            slot.store_error(std::current_exception());
            return nullptr;
        } else {
            return std::current_exception();
        }
    }
}

class gather_join : public fork_join {
public:
    // A child has ended with this error. Any worker, before the child arrives.
    void failed(std::exception_ptr error) noexcept;

protected:
    // What the children come from failed, by this error: those that there are, are asked to end, unless they have been.
    void source_failed(std::exception_ptr error) noexcept;

    explicit gather_join(bool cancel_rest) noexcept : cancel_rest_(cancel_rest) {}
    ~gather_join() = default;

    // After the join: throws the first error, or else the parent's own cancellation, if it had a part in the ending.
    void check() {
        if (was_cancelled() || claimed_.load(mo_relaxed) || request_accepted()) [[unlikely]] {
            throw_reason();
        }
    }

    // Requests the cancellation of every child that has not ended. True if one took it.
    virtual bool request_all() noexcept = 0;

    bool cancel_children() noexcept override;
    // The children were asked to end, or are about to be.
    bool asked() const noexcept { return asked_.load(mo_acquire); }  // pairs with the releases of asked_

private:
    void wind_down() noexcept;
    void throw_reason();

    std::exception_ptr error_;
    atomic<bool> claimed_{false};
    atomic<bool> winding_down_{false};
    atomic<bool> asked_{false};
    bool cancel_rest_;
};

// The end of a child: its value goes into `slot`, and its frame is destroyed. Gives the error that has to be dealt with, or
// null.
template <bool Settled, class T>
std::exception_ptr end_child(std::coroutine_handle<task_promise<T>> frame, child_slot<T, Settled>& slot,
                             finish_kind kind) noexcept {
    result_slot<T>& result = frame.promise().result();
    if constexpr (std::is_nothrow_move_constructible_v<stored_t<T>> && !Settled) {
        if (result.has_value()) [[likely]] {
            slot.store(std::move(result.value()));
            frame.destroy();
            return nullptr;
        }
    }
    std::exception_ptr error = store_result<Settled, T>(slot, kind == finish_kind::ran ? &result : nullptr);
    frame.destroy();
    return error;
}

// A child's record. Owns the frame until it has run.
template <class T, bool Settled>
class gather_child final : public fork_join::child {
public:
    explicit gather_child(task<T>&& body) noexcept : child(&gather_child::finished) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from, or given twice
        frame.promise().run_as(*this);
        handle = frame;
    }
    ~gather_child() {
        if (handle) {  // it was never started
            handle.destroy();
        }
    }

    gathered_t<T, Settled>&& take() noexcept { return static_cast<gathered_t<T, Settled>&&>(slot_.take()); }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<gather_child&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        result_slot<T>& result = frame.promise().result();
        if constexpr (std::is_nothrow_move_constructible_v<stored_t<T>> && !Settled) {
            if (result.has_value()) [[likely]] {
                self.slot_.store(std::move(result.value()));
                frame.destroy();
                self.handle = nullptr;
                return self.join->arrive(self);
            }
        }
        std::exception_ptr error = store_result<Settled, T>(self.slot_, kind == finish_kind::ran ? &result : nullptr);
        frame.destroy();
        self.handle = nullptr;
        if (error) {
            static_cast<gather_join&>(*self.join).failed(std::move(error));
        }
        return self.join->arrive(self);
    }

    [[no_unique_address]] child_slot<T, Settled> slot_;
};

}  // namespace magpie::detail
