// What another thread does for the loop of an owner that is stuck in a task.

#include <magpie/io/loop/uring_loop.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/kick.hpp>

#include <chrono>

#include <errno.h>

namespace magpie::detail {

namespace {

uring_loop* loop_of_this_thread() noexcept {
    return current_worker() == nullptr ? nullptr : dynamic_cast<uring_loop*>(&current_driver());
}

}  // namespace

bool uring_loop::is_stranded() const noexcept {
    return ring_.has_completions() || ring_.unsubmitted() != 0 || ring_.must_enter() || has_cancels() ||
           has_unstarted();
}

std::size_t uring_loop::take_over() noexcept {
    if (parking_.load(mo_relaxed)) {
        return 0;
    }
    unsigned const unsubmitted = ring_.unsubmitted();
    if (unsubmitted != 0 || ring_.has_overflown()) {
        (void)ring_.enter_from_outside(unsubmitted, ring_.has_overflown());
    }
    std::size_t taken = reap();
    // After the submission: the kernel has to know what it is asked to cancel. After what has completed: the kernel does not
    // know that any more, and the task would have to wait for the owner to find out. Whatever completes between the two is
    // found out at the next look, for as long as there is something left to cancel the owner is stranded.
    // Not while something is published that the kernel has not taken yet, as when its thread was only just woken: it would
    // not know the operation, and what is left to the owner is not tried again. The messages wait for the next look.
    if (ring_.unsubmitted() == 0) {
        cancel_for_owner([this](op_base& op) {
            int const result = ring_.cancel_from_outside(tag_of(op, op_base::own_channel));
            return result == 0 || result == -EALREADY || result == -ETIME;
        });
    }
    if (!ring_.has_completions() && ring_.must_be_kicked()) {
        kick_owner();
    }
    taken += reap();
    if (uring_loop* const here = loop_of_this_thread(); here != nullptr && here != this) {
        hand_over_unstarted(*here);
    }
    // What the kernel did not know any more had completed, and has been taken in by now.
    end_returned();
    return taken;
}

// Waits for what comes of it, which takes some microseconds; a millisecond or more if the owner is not on a CPU, which
// nobody waits for.
void uring_loop::kick_owner() noexcept {
    using namespace std::chrono_literals;
    constexpr duration at_most_every = 100us;
    constexpr duration worth_waiting = 50us;
    auto const now = std::chrono::steady_clock::now();
    std::int64_t const count = now.time_since_epoch().count();
    std::int64_t last = last_kick_.load(mo_relaxed);
    if (count - last < duration(at_most_every).count() ||
        !last_kick_.compare_exchange_strong(last, count, mo_relaxed, mo_relaxed) || !kick()) {
        return;
    }
    kicks_.fetch_add(1, mo_relaxed);
    while (!ring_.has_completions() && std::chrono::steady_clock::now() - now < worth_waiting) {
        cpu_relax();
    }
}

}  // namespace magpie::detail
