#pragma once

#include <magpie/io/fd.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>

#include <cstdint>

namespace magpie::detail {

// How other threads wake an event loop that sleeps in the kernel, at no cost while it is awake.
//
//   awake     --notify()-->        notified   an exchange; the owner sees it when it next wants to sleep
//   awake     --prepare_sleep()--> sleeping   true: the owner may sleep, after one more look at its inboxes
//   notified  --prepare_sleep()--> awake      false: it must look around first
//   sleeping  --notify()-->        notified   the only transition that costs a system call: a write to the eventfd
//   any       --end_sleep()-->     awake
//
// So a sleep costs at most one write, and a notification that finds the owner on its way to sleep is not lost. Every
// transition is an acquire-release read-modify-write and pairs with the others of the word: what a notifier wrote
// before is seen by the owner after. A write that comes late, for a sleep that has ended otherwise, makes the next
// sleep end early: harmless.
class wakeup {
public:
    // Throws std::system_error.
    wakeup();

    // Any thread.
    void notify() noexcept;

    // The owner.
    [[nodiscard]] bool prepare_sleep() noexcept {
        state expected = state::awake;
        if (state_.compare_exchange_strong(expected, state::sleeping, mo_acq_rel, mo_acquire)) {
            return true;
        }
        end_sleep();
        return false;
    }
    void end_sleep() noexcept { (void)state_.exchange(state::awake, mo_acq_rel); }

    // An eventfd, blocking: becomes readable when a sleep is to end.
    int descriptor() const noexcept { return event_.get(); }

private:
    enum class state : std::uint8_t { awake, sleeping, notified };

    io::fd event_;
    alignas(cache_line_size) atomic<state> state_{state::awake};
};

}  // namespace magpie::detail
