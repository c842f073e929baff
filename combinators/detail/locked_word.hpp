#pragma once

// One atomic word that is a primitive's state and the lock of its waiter list in one.
//
//   free    bit 0 clear: anybody may change the word with one compare-exchange. The fast paths of mutex, semaphore and
//           event are that and nothing else.
//   locked  bit 0 set: only the holder changes the word, and it alone touches the waiter list.
//
//   free   --try_change()-->  free     fails while the word is locked
//   free   --lock()-->        locked
//   locked --unlock(value)--> free     one store: the new state becomes visible and the lock is let go at once
//
// Why the lock is not a spin_lock beside the word: whoever sees the new state may at once destroy the primitive (a task
// that waits for an event on its own stack does). With two variables the old holder would still have its lock to store
// to; with one, its last touch is what lets the other go on.
//
// Every change of the word is acquire-release (unlock: release) and pairs with the others: what was written before one
// change, list included, is seen after the next.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/backoff.hpp>

#include <cstdint>

namespace magpie::detail {

class locked_word {
public:
    using value_type = std::uint64_t;
    static constexpr value_type lock_bit = 1;

    explicit locked_word(value_type value) noexcept : word_(value) {}
    locked_word(locked_word const&) = delete;
    locked_word& operator=(locked_word const&) = delete;

    value_type load() const noexcept { return word_.load(mo_acquire); }  // pairs with every change, see above

    // From `seen` to `wanted`, both without the lock bit. False: the word was something else, and `seen` now says what,
    // without the lock bit.
    bool try_change(value_type& seen, value_type wanted) noexcept {
        inject_point();
        // acq_rel on success, acquire on failure: see above
        if (word_.compare_exchange_strong(seen, wanted, mo_acq_rel, mo_acquire)) [[likely]] {
            return true;
        }
        seen &= ~lock_bit;
        return false;
    }

    // Waits for the lock; returns the state. Held for a few loads and stores; not recursive.
    [[nodiscard]] value_type lock() noexcept {
        value_type seen = word_.load(mo_relaxed) & ~lock_bit;
        if (!try_change(seen, seen | lock_bit)) [[unlikely]] {
            lock_contended(seen);
        }
        return seen;
    }

    // Sets the state and lets go. After this the caller touches the primitive no more.
    void unlock(value_type value) noexcept {
        word_.store(value, mo_release);  // pairs with every later change and load, see above
    }

private:
    [[gnu::noinline]] void lock_contended(value_type& seen) noexcept {
        backoff waiting;
        do {
            waiting.wait();
            seen = word_.load(mo_relaxed);
        } while ((seen & lock_bit) != 0 || !try_change(seen, seen | lock_bit));
    }

    atomic<value_type> word_;
};

} // namespace magpie::detail
