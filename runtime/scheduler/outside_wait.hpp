#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spawned.hpp>

#include <semaphore.h>

namespace magpie::detail {

// A foreign thread's wait for the end of a task. Lies on that thread's stack. interrupt() ends a block() early and may
// be called from a signal handler.
class outside_wait final : public watcher {
public:
    outside_wait() noexcept { sem_init(&signals_, 0, 0); }
    ~outside_wait() { sem_destroy(&signals_); }

    bool done() const noexcept { return done_.load(mo_acquire); }  // pairs with the release in task_ended()
    // True once for any number of interrupts.
    bool take_interrupt() noexcept { return interrupted_.exchange(false, mo_acq_rel); }

    // Sleeps until something happened since the last clear(). May return early.
    void block() noexcept { sem_wait(&signals_); }
    // For who does not sleep but runs tasks meanwhile: set when something happened.
    atomic<bool> const& happened() const noexcept { return happened_; }
    void clear() noexcept { happened_.store(false, mo_relaxed); }

    void interrupt() noexcept {
        interrupted_.store(true, mo_release);  // pairs with take_interrupt()
        announce();
    }

private:
    void task_ended(spawned_base&) noexcept override {
        done_.store(true, mo_release);  // pairs with the acquire in done()
        announce();
    }
    void announce() noexcept {
        happened_.store(true, mo_release);
        sem_post(&signals_);
    }

    sem_t signals_;
    atomic<bool> happened_{false};
    atomic<bool> done_{false};
    atomic<bool> interrupted_{false};
};

} // namespace magpie::detail
