#pragma once

#include <semaphore.h>

namespace magpie::detail {

// A closed gate for one foreign thread, on whose stack it lies: pass() blocks until somebody has opened it, once.
class thread_gate {
public:
    thread_gate() noexcept { sem_init(&opened_, 0, 0); }
    thread_gate(thread_gate const&) = delete;
    thread_gate& operator=(thread_gate const&) = delete;
    ~thread_gate() { sem_destroy(&opened_); }

    // Any thread. The gate may be gone when this returns: sem_post() touches nothing after it has let a waiter through.
    void open() noexcept { sem_post(&opened_); }
    void pass() noexcept {
        while (sem_wait(&opened_) != 0) {  // EINTR
        }
    }

    thread_gate* next = nullptr;  // whoever keeps a list of them

private:
    sem_t opened_;
};

} // namespace magpie::detail
