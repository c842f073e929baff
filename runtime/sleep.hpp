#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <chrono>
#include <cmath>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace magpie {

namespace detail {

// Goes to the back of the current worker's queue: everything that is ready there runs first.
class yield_awaiter final : public work_item {
public:
    yield_awaiter() = default;
    yield_awaiter(yield_awaiter const&) = delete;
    yield_awaiter& operator=(yield_awaiter const&) = delete;

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        handle = coroutine;
        context = coroutine.promise().context();
        if (context->shield_depth == 0 && context->request_pending()) {
            return false;  // delivered by await_resume, without a round through the queue
        }
        schedule_yield(*this);
        return true;
    }
    void await_resume() const { deliver_if_due(*context); }
};

class sleep_awaiter final : public waiter, public timer {
public:
    explicit sleep_awaiter(duration d) noexcept : span_(d), kind_(d == duration::zero() ? kind::yield : kind::span) {}
    explicit sleep_awaiter(time_point when) noexcept : span_(when.time_since_epoch()), kind_(kind::until) {}

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    void await_resume() const {
        if (was_cancelled()) {
            deliver_cancellation(*context);
        }
        if (kind_ == kind::yield) {
            deliver_if_due(*context);
        }
    }

private:
    // True: the task is suspended. False: a request is pending, and await_resume() delivers it.
    bool wait();
    bool try_cancel() noexcept override { return disarm(*this); }
    std::string describe() const override { return "sleep"; }
    void expired() noexcept override { wake(); }

    enum class kind : std::uint8_t { span, until, yield };

    duration span_;  // from now, or from the clock's origin
    kind kind_;
};

} // namespace detail

// What sleep() and sleep_until() give. Awaiting it suspends the task for a time that begins then, or until a point: never earlier, and later only by the
// time until some worker is free to look. Cancelling ends the sleep at once and removes its timer.
class [[nodiscard("co_await it")]] sleep_awaitable {
public:
    explicit sleep_awaitable(duration d) noexcept : span_(d), until_(false) {}
    explicit sleep_awaitable(time_point when) noexcept : span_(when.time_since_epoch()), until_(true) {}
    detail::sleep_awaiter operator co_await() const noexcept {
        return until_ ? detail::sleep_awaiter(time_point(span_)) : detail::sleep_awaiter(span_);
    }

private:
    duration span_;
    bool until_;
};

class [[nodiscard("co_await it")]] yield_awaitable {
public:
    yield_awaitable() noexcept {}
    detail::yield_awaiter operator co_await() const noexcept { return {}; }
};

// Sleeps until a point of magpie::now()'s clock. One in the past is due at once, in the order of the points.
inline sleep_awaitable sleep_until(time_point when) noexcept {
    return sleep_awaitable(when);
}

namespace detail {
// now() + d, without overflow: a point that the clock cannot reach is its last.
time_point deadline_after(duration d) noexcept;

// Any duration as nanoseconds, rounded up; what does not fit is the longest or the shortest there is.
template <class Rep, class Period>
duration to_span(std::chrono::duration<Rep, Period> d) {
    if constexpr (std::floating_point<Rep>) {
        if (std::isnan(d.count())) {
            throw std::invalid_argument("a sleep needs a duration, not NaN");
        }
    }
    constexpr double limit = 9.0e18;  // a little less than duration::max()
    double const nanoseconds = std::chrono::duration<double, std::nano>(d).count();
    if (nanoseconds > limit) {
        return duration::max();
    }
    if (nanoseconds < -limit) {
        return duration::min();
    }
    return std::chrono::ceil<duration>(d);
}
} // namespace detail

// Sleeps for a duration of magpie::now()'s clock: `co_await sleep(10ms)`. Zero gives every ready task of this worker
// one turn, like yield(). Longer than the clock can count: until cancelled. Throws std::invalid_argument for NaN.
template <class Rep, class Period>
sleep_awaitable sleep(std::chrono::duration<Rep, Period> d) {
    return sleep_awaitable(detail::to_span(d));
}
// What stands behind it is what compilers show.
template <std::integral T>
sleep_awaitable sleep(T) = delete;  // a bare number has no unit: sleep(1s), sleep(10ms)

namespace this_task {
using magpie::sleep;
using magpie::sleep_until;

// Goes to the back of this worker's queue: what is ready there runs first (tasks pinned to the worker have a queue of
// their own, and the two take turns). A pending cancellation is delivered, also one that came meanwhile.
inline yield_awaitable yield() noexcept {
    return {};
}
} // namespace this_task
} // namespace magpie
