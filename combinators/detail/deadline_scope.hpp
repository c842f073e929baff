#pragma once

// A part of a task that is cut off at a deadline: the core of timeout() and with_timeout().
//
//   armed    the timer is in a heap, or has left it and expired() is about to run
//   expired  the deadline has passed: the task is, or is being, asked to cancel. Final.
//   left     the task is out of the scope: nothing is armed any more. Final.
//
// The lock orders reschedule(), expired() and leave(). The request itself is made after unlocking; asked_ is then set as
// the very last touch by the thread that made it, and leave() waits for it: it cannot take a request back that is still
// to come, and the scope must not die under that thread.
//
// Several requests may be delivered as one. If on leaving there are requests by others left, they may have been met in
// here, by code that took them for this deadline's. So they are made pending again, which is how an outer deadline still
// interrupts what follows; unless one from outside the task was delivered in here, which happens once (told_).

#include <magpie/combinators/detail/scope_request.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <chrono>
#include <cmath>
#include <concepts>
#include <optional>
#include <stdexcept>

namespace magpie::detail {

class deadline_scope final : public timer, public open_scope {
public:
    // Begins the scope for the task that runs now, reading the clock once. A limit of zero or less is due at its first
    // suspension.
    deadline_scope(task_context& task, duration limit);
    ~deadline_scope() {
        if (!left_) {
            leave(false);
        }
    }

    // The task itself, once. `cancelled`: what is inside ended by task_cancelled. True: it is this deadline's doing.
    bool leave(bool cancelled) noexcept;

    // Any worker, while the scope is open. False if it has expired. Throws usage_error off a worker, std::bad_alloc.
    bool reschedule(time_point when);
    bool has_expired() const noexcept;
    time_point when() const noexcept;

private:
    void expired() noexcept override;
    void owner_cancelled() noexcept override { told_ = true; }
    deadline_scope(task_context& task, time_point start_of_it, duration limit);
    bool start(time_point current);
    void ask() noexcept;

    scope_request request_;
    bool told_ = false;  // the task itself only
    time_point when_;    // from here on under the lock
    bool armed_ = false;
    bool expired_ = false;
    bool left_ = false;
    mutable spin_lock lock_;
    atomic<bool> asked_{false};
};

// `d` as the library counts time; more than that is "never". Throws std::invalid_argument for NaN.
template <class Rep, class Period>
duration timeout_duration(std::chrono::duration<Rep, Period> d) {
    if constexpr (std::floating_point<Rep>) {
        if (std::isnan(d.count())) {
            throw std::invalid_argument("a timeout needs a duration, not NaN");
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

// now() + d; time_point::max(), which no timer is armed for, if that is later than the clock can count.
time_point deadline_in(duration d) noexcept;
time_point deadline_in(duration d, time_point start) noexcept;  // the same for who knows what now() is

// Until expired(), which is running on another thread or will in a moment, has set the flag with its last touch.
void wait_for_flag(atomic<bool> const& flag) noexcept;

}  // namespace magpie::detail
