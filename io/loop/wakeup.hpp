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
//   sleeping  --notify()-->        notified   the only transition that costs a system call: it ends the sleep
//   any       --end_sleep()-->     awake
//
// So a sleep costs at most one system call, and a notification that finds the owner on its way to sleep is not lost.
// Every transition is an acquire-release read-modify-write and pairs with the others of the word: what a notifier wrote
// before is seen by the owner after. A call that comes late, for a sleep that has ended otherwise, makes the next sleep
// end early: harmless.
//
// What ends the sleep is a write to an eventfd, which the owner waits for in its own way; or, from use_ring() on, a
// message that the kernel puts straight into the completion queue of the ring in which the owner sleeps. A read of an
// eventfd takes the kernel a third longer to wake the owner with, and the owner has to ask for it again after that; it is
// what remains if a message is refused (a thread may have a seccomp filter of its own; the kernel may lack memory).
class wakeup {
public:
    // With an eventfd. Throws std::system_error.
    wakeup();

    // From now on by messages to this ring, which takes them. The owner, before anybody notifies.
    void use_ring(int descriptor) noexcept;

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

    // The eventfd, blocking: becomes readable when a sleep is to end.
    int descriptor() const noexcept { return event_.get(); }
    bool uses_ring() const noexcept { return ring_ >= 0; }

private:
    enum class state : std::uint8_t { awake, sleeping, notified };

    io::fd event_;
    int ring_ = -1;
    alignas(cache_line_size) atomic<state> state_{state::awake};
};

}  // namespace magpie::detail
