#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spawned.hpp>

#include <cstdint>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace magpie::detail {

// A foreign thread's wait for the end of a task. Lies on that thread's stack. interrupt() ends a block() early and may
// be called from a signal handler.
//
// Whoever tells of the end touches nothing of this object behind the store that makes done() true: it wakes the sleeper
// by address alone (futex(2)). So the sleeper need not wait until the teller has gone on, which may have lost its CPU to
// the very thread that it woke. (Of a wait that is gone such a call wakes nobody, or somebody who will look again.)
class outside_wait final : public watcher {
public:
    bool done() const noexcept { return (events_.load(mo_acquire) & ended) != 0; }  // pairs with task_ended()
    // True once for any number of interrupts.
    bool take_interrupt() noexcept { return (events_.fetch_and(~interrupted, mo_acq_rel) & interrupted) != 0; }

    // Sleeps until the task has ended, or until there is an interrupt to take. May return early.
    void block() noexcept {
        if ((events_.fetch_or(sleeping, mo_relaxed) & ~sleeping) == 0) {
            sleep();
        }
    }
    // For who does not sleep but runs tasks meanwhile: set when something happened since the last clear().
    atomic<bool> const& happened() const noexcept { return happened_; }
    void clear() noexcept { happened_.store(false, mo_relaxed); }

    void interrupt() noexcept {
        add(interrupted);
        happened_.store(true, mo_release);  // behind the event: who clears it looks for one
    }

private:
    static constexpr std::uint32_t ended = 1;
    static constexpr std::uint32_t interrupted = 2;
    static constexpr std::uint32_t sleeping = 4;  // somebody has gone to sleep, once

    void sleep() noexcept {
#if defined(MAGPIE_TSAN)
        // It puts signals' handlers off until a function is called that it knows, which a bare system call is not. (One
        // that comes just before would not even interrupt the sleep.)
        timespec const a_moment{.tv_sec = 0, .tv_nsec = 500'000'000};
        (void)::syscall(SYS_futex, &events_, FUTEX_WAIT_PRIVATE, sleeping, &a_moment, nullptr, 0);
        ::usleep(0);
#else
        (void)::syscall(SYS_futex, &events_, FUTEX_WAIT_PRIVATE, sleeping, nullptr, nullptr, 0);
#endif
    }
    void task_ended(spawned_base&) noexcept override {
        happened_.store(true, mo_release);
        add(ended);
    }
    void add(std::uint32_t event) noexcept {
        atomic<std::uint32_t>* const address = &events_;
        // pairs with done() and take_interrupt()
        if ((events_.fetch_or(event, mo_acq_rel) & sleeping) != 0) {
            (void)::syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
        }
    }

    atomic<std::uint32_t> events_{0};
    atomic<bool> happened_{false};
};

} // namespace magpie::detail
