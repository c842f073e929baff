#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/backoff.hpp>

namespace magpie::detail {

// One byte, for critical sections of a few loads and stores that neither block nor allocate. Any thread; not recursive.
// Unlocking publishes what the holder wrote to the next one.
class spin_lock {
public:
    spin_lock() = default;
    spin_lock(spin_lock const&) = delete;
    spin_lock& operator=(spin_lock const&) = delete;

    void lock() noexcept {
        if (!try_lock()) {
            lock_contended();
        }
    }

    bool try_lock() noexcept {
        inject_point();
        // acquire: pairs with the release in unlock()
        return !held_.exchange(true, mo_acquire);
    }

    void unlock() noexcept {
        // release: pairs with the acquire in try_lock()
        held_.store(false, mo_release);
    }

private:
    [[gnu::noinline]] void lock_contended() noexcept {
        backoff waiting;
        do {
            waiting.wait();
        } while (held_.load(mo_relaxed) || !try_lock());
    }

    atomic<bool> held_{false};
};

}  // namespace magpie::detail
