#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/timer.hpp>

#include <cstdint>

namespace magpie::detail {

class op_base;

// The time after which an operation that waits is given up. Lies beside the operation, in the awaiting frame; armed only
// if the operation has to wait. When it expires it asks for the operation's cancellation, as a canceller of the task
// would, but makes no request of the task: the operation ends with timed_out, or with what it completed with first.
//
//   state_:  idle --arm()--> armed --stop(), disarmed--> idle
//                            armed --expired()--> over, set as the last touch, after which the frame may die
class op_deadline final : public timer {
public:
    explicit op_deadline(duration limit) noexcept : limit_(limit) {}

    bool is_set() const noexcept { return limit_ > duration::zero(); }
    // The operation is about to wait. On a worker. Without memory for the timer it expires at once.
    void arm_for(op_base& op) noexcept;
    // The operation is over. True: the time had passed before that.
    bool stop() noexcept;

private:
    enum class state : std::uint8_t { idle, armed, over };

    void expired() noexcept override;

    duration limit_;
    op_base* op_ = nullptr;
    atomic<state> state_{state::idle};
};

}  // namespace magpie::detail
