#pragma once

#include <magpie/combinators/semaphore.hpp>

#include <cstddef>

namespace magpie {

// Many readers or one writer, among tasks, held across co_awaits. Strictly first come, first served: a reader that
// comes while a writer waits queues behind it, so that readers, however many, keep no writer out, and readers that
// follow each other in the queue go in together.
//
// A lock is a permit: its destructor unlocks, release() does so before, and it is moved, kept and given up like one.
// Not recursive: a task that holds it, in either way, and locks it again may wait for itself. Usable from every
// worker; try_lock...() and unlocking from any thread. Nobody may wait for it or hold it when it is destroyed.
class rw_mutex {
public:
    rw_mutex() : places_(semaphore::max()) {}

    // `auto guard = co_await m.lock()`: alone. Cancelling leaves the queue; a task that had the lock before the request
    // came has it, and the request stays pending.
    semaphore_acquire_awaitable lock() { return places_.acquire(semaphore::max()); }
    // As lock(), together with other readers.
    semaphore_acquire_awaitable lock_shared() { return places_.acquire(); }

    // An empty permit if it cannot be had at once, or if somebody waits.
    permit try_lock() { return places_.try_acquire(semaphore::max()); }
    permit try_lock_shared() { return places_.try_acquire(); }

    // How many tasks wait, readers and writers: for people. Takes as long as there are.
    std::size_t waiting() const noexcept { return places_.waiting(); }

private:
    semaphore places_;  // a reader takes one, a writer all
};

} // namespace magpie
