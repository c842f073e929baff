#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/timer_node.hpp>

namespace magpie::detail {

class worker;

// Something that happens at a point in time, unless it is disarmed before. Lies in a frame; armed at most once at a
// time, in the heap of the worker that armed it.
class timer : public timer_node {
public:
    timer() = default;
    timer(timer const&) = delete;
    timer& operator=(timer const&) = delete;

    // Called once, by some worker, under no lock, after the timer has left the heap.
    virtual void expired() noexcept = 0;

protected:
    ~timer() = default;

private:
    friend void arm(timer&, time_point);
    friend bool arm_and_suspend(timer&, time_point, waiter&);
    friend bool disarm(timer&) noexcept;

    worker* armed_at_ = nullptr;
};

// Arms it on the current worker. A point in the past is due at the worker's next look. On a worker only.
// Throws std::bad_alloc.
void arm(timer& t, time_point when);

// Arms it and publishes `w` as where the current task waits, as one step for a canceller: whoever sees the waiter can
// disarm the timer. False: a request is pending and the timer is not armed.
[[nodiscard]] bool arm_and_suspend(timer& t, time_point when, waiter& w);

// Any thread. True: it will not expire. False: it is not armed: it has expired, or expired() is being called.
bool disarm(timer& t) noexcept;

} // namespace magpie::detail
