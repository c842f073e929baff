#pragma once

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/scheduler/claim.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace magpie::detail {

// The private part of a worker's fork deque: children that nobody else has asked for yet. The owner pushes and pops at
// the top, without a locked instruction or a fence; when somebody wants work it takes the oldest from the bottom and
// exposes them in its run queue. So a thief touches this only if the owner is stuck, under its claim (claim.hpp), and a
// child that was not stolen costs a push and a pop.
//
// A ring of a power of two of slots that doubles when full and halves when an eighth is left, so that between two
// changes of size lie as many operations as items were copied. One comparison in a pop finds all that is not plain: empty
// and far too large.
//
// The owner and a claimer. The claimer reads the top once, behind its kick, takes from the bottom, and moves the bottom.
//   push  needs no exclusion: an item that the claimer does not see yet it does not take. The top's release publishes the
//         slot; the acquire of the bottom says which slots the claimer has read and left.
//   pop   moves the top down and then looks whether somebody has claimed. If so it moves it up again and waits. If not, a
//         claimer that comes later sees the lower top, by the kick, and leaves the item alone; and one that came and went
//         before has left the bottom for the owner to see (claimed_), so the bottom is looked at last.
//   else  (the ring changes, the owner takes from the bottom): inside a section.
//
// The owner's, but for take_claimed(); size() and empty() are hints to others.
template <class T>
class fork_stack {
public:
    // Throws std::bad_alloc.
    fork_stack() : slots_(std::make_unique<slot[]>(min_capacity)) {}
    fork_stack(fork_stack const&) = delete;
    fork_stack& operator=(fork_stack const&) = delete;

    // acquire: pairs with the release of the bottom in take(); the slots below it may be written again.
    std::size_t size() const noexcept { return top_.load(mo_relaxed) - bottom_.load(mo_acquire); }
    bool empty() const noexcept { return size() == 0; }
    std::size_t capacity() const noexcept { return mask_ + 1; }

    // Throws std::bad_alloc, and then has not taken the item.
    void push(T* item) {
        reserve(1);
        put(item);
    }
    // As push(), after reserve() has made room for it: neither that many pushed nor anything popped since.
    void put(T* item) noexcept {
        MAGPIE_ASSERT(size() <= mask_);
        std::size_t const top = top_.load(mo_relaxed);
        slots_[top & mask_] = item;
        top_.store(top + 1, mo_release);  // pairs with the acquire in take_claimed()
    }

    // Makes room for `more` items besides those there, so that a pack is pushed whole or not at all. Throws
    // std::bad_alloc, and then has changed nothing.
    void reserve(std::size_t more) {
        if (!has_room(more)) [[unlikely]] {
            grow(more);
        }
    }

    // The newest item, or null.
    T* pop() noexcept {
        return pop_if([](T const&) { return true; });
    }
    // True if there is room for as many more without reserve().
    bool has_room(std::size_t more) const noexcept { return capacity() - size() >= more; }
    // The newest item if fits(item), or null.
    template <class Fits>
    T* pop_if(Fits fits) noexcept {
        T* const item = pop_plainly(fits);
        return item != nullptr ? item : pop_slowly(fits);
    }
    // As pop_if(), but gives up, with null, where that would take longer: the item may be there all the same.
    template <class Fits>
    T* pop_plainly(Fits fits) noexcept {
        std::size_t const top = top_.load(mo_relaxed) - 1;
        top_.store(top, mo_release);  // pairs with the acquire in take_claimed(); its kick is the fence between both
        compiler_fence();
        // relaxed: what a claimer that has left did to it came with its claimed_; nothing that it read is written here
        if (!claim_.is_claimed() && top - bottom_.load(mo_relaxed) + 1 > low_) [[likely]] {
            T* const item = slots_[top & mask_];
            if (fits(*item)) [[likely]] {
                return item;
            }
        }
        top_.store(top + 1, mo_release);  // as above
        return nullptr;
    }

    // Moves up to `count` of the oldest items to the back of `out`, oldest first; returns how many.
    std::size_t take_oldest(std::size_t count, intrusive_queue<T>& out) noexcept {
        claim::section const alone(claim_);
        std::size_t const taken = take(std::min(count, size()), out);
        if (size() <= low_) [[unlikely]] {
            shrink();
        }
        return taken;
    }
    // As that, from any other thread; the memory stays as it is. 0 also if the owner or somebody else is at it.
    std::size_t take_claimed(std::size_t count, intrusive_queue<T>& out) noexcept {
        if (!claim_.try_claim()) {
            return 0;
        }
        // acquire: pairs with the releases of the top. An owner in the middle of a pop may have it below the bottom.
        std::size_t const top = top_.load(mo_acquire);
        auto const there = static_cast<std::ptrdiff_t>(top - bottom_.load(mo_relaxed));
        std::size_t const taken = there > 0 ? take(std::min(count, static_cast<std::size_t>(there)), out) : 0;
        claim_.give_back();
        return taken;
    }

private:
    using slot = guarded<T*>;

#if defined(MAGPIE_MODEL)
    static constexpr std::size_t min_capacity = 4;
#else
    static constexpr std::size_t min_capacity = 64;
#endif

    // Under the exclusion of the caller.
    std::size_t take(std::size_t count, intrusive_queue<T>& out) noexcept {
        std::size_t const bottom = bottom_.load(mo_relaxed);
        for (std::size_t i = 0; i < count; ++i) {
            out.push_back(slots_[(bottom + i) & mask_]);
        }
        bottom_.store(bottom + count, mo_release);  // pairs with the acquire in size()
        return count;
    }

    template <class Fits>
    [[gnu::noinline]] T* pop_slowly(Fits fits) noexcept {
        claim::section const alone(claim_);
        if (empty()) {
            return nullptr;
        }
        if (size() <= low_) {
            shrink();
        }
        std::size_t const top = top_.load(mo_relaxed) - 1;
        T* const item = slots_[top & mask_];
        if (!fits(*item)) {
            return nullptr;
        }
        top_.store(top, mo_relaxed);  // a claimer sees it through the section
        return item;
    }

    [[gnu::noinline]] void grow(std::size_t more) {
        std::size_t wanted = capacity();
        while (wanted - size() < more) {
            if (wanted > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T*)) {
                throw std::bad_alloc();
            }
            wanted *= 2;
        }
        auto larger = std::make_unique<slot[]>(wanted);
        claim::section const alone(claim_);
        resize(std::move(larger), wanted);
    }

    // Halves until an eighth is in use or the smallest is reached. Without memory for the smaller ring the larger one
    // stays, and is tried again.
    [[gnu::noinline]] void shrink() noexcept {
        std::size_t wanted = capacity();
        while (wanted > min_capacity && size() <= wanted / 8) {
            wanted /= 2;
        }
        if (wanted == capacity()) {
            return;
        }
        if (std::unique_ptr<slot[]> smaller{new (std::nothrow) slot[wanted]{}}) {
            resize(std::move(smaller), wanted);
        }
    }

    [[gnu::noinline]] void resize(std::unique_ptr<slot[]> slots, std::size_t capacity) noexcept {
        std::size_t const count = size();
        MAGPIE_ASSERT(count <= capacity);
        for (std::size_t i = 0; i < count; ++i) {
            slots[i] = slots_[(bottom_.load(mo_relaxed) + i) & mask_];
        }
        slots_ = std::move(slots);
        bottom_.store(0, mo_relaxed);  // a claimer sees all of this through the section
        top_.store(count, mo_relaxed);
        mask_ = capacity - 1;
        low_ = capacity > min_capacity ? capacity / 8 : 0;
    }

    std::unique_ptr<slot[]> slots_;
    atomic<std::size_t> top_{0};     // one past the newest
    atomic<std::size_t> bottom_{0};  // the oldest; both count up, the slot is the index & mask_
    guarded<std::size_t> mask_ = min_capacity - 1;
    std::size_t low_ = 0;  // a pop looks closer at this size and below
    claim claim_;
};

}  // namespace magpie::detail
