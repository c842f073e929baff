#pragma once

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace magpie::detail {

// The private part of a worker's fork deque: children that nobody else has asked for yet. The owner pushes and pops at
// the top, without an atomic or a fence; when somebody wants work it takes the oldest from the bottom and exposes them
// in its run queue. So a thief touches this only if the owner is stuck, under its claim (claim.hpp), and a child that was
// not stolen costs a push and a pop.
//
// A ring of a power of two of slots that doubles when full and halves when an eighth is left, so that between two
// changes of size lie as many operations as items were copied. One comparison in push() and one in pop() find all
// that is not plain: full, empty and far too large.
//
// One thread at a time; size() and empty() are hints to others.
template <class T>
class fork_stack {
public:
    // Throws std::bad_alloc.
    fork_stack() : slots_(std::make_unique<T*[]>(min_capacity)) {}
    fork_stack(fork_stack const&) = delete;
    fork_stack& operator=(fork_stack const&) = delete;

    std::size_t size() const noexcept { return top_.load(mo_relaxed) - bottom_.load(mo_relaxed); }
    bool empty() const noexcept { return top_.load(mo_relaxed) == bottom_.load(mo_relaxed); }
    std::size_t capacity() const noexcept { return mask_ + 1; }

    // Throws std::bad_alloc, and then has not taken the item. Does not throw if reserve() made room for it and nothing
    // has been popped or taken since.
    void push(T* item) {
        if (size() > mask_) [[unlikely]] {
            grow();
        }
        std::size_t const top = top_.load(mo_relaxed);
        slots_[top & mask_] = item;
        top_.store(top + 1, mo_relaxed);
    }

    // Makes room for `more` items besides those there, so that a pack is pushed whole or not at all. Throws
    // std::bad_alloc, and then has changed nothing.
    void reserve(std::size_t more) {
        std::size_t wanted = capacity();
        while (wanted - size() < more) {
            if (wanted > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T*)) {
                throw std::bad_alloc();
            }
            wanted *= 2;
        }
        if (wanted != capacity()) {
            resize(std::make_unique<T*[]>(wanted), wanted);
        }
    }

    // The newest item, or null.
    T* pop() noexcept {
        if (size() <= low_) [[unlikely]] {
            if (empty()) {
                return nullptr;
            }
            shrink();
        }
        std::size_t const top = top_.load(mo_relaxed) - 1;
        top_.store(top, mo_relaxed);
        return slots_[top & mask_];
    }

    // The newest item, still there, or null.
    T* peek() const noexcept { return empty() ? nullptr : slots_[(top_.load(mo_relaxed) - 1) & mask_]; }

    // The oldest item, or null.
    T* take_oldest() noexcept {
        if (size() <= low_) [[unlikely]] {
            if (empty()) {
                return nullptr;
            }
            shrink();
        }
        std::size_t const bottom = bottom_.load(mo_relaxed);
        bottom_.store(bottom + 1, mo_relaxed);
        return slots_[bottom & mask_];
    }

    // Moves up to `count` of the oldest items to the back of `out`, oldest first; returns how many.
    std::size_t take_oldest(std::size_t count, intrusive_queue<T>& out) noexcept {
        std::size_t const taken = take_for_owner(count, out);
        if (size() <= low_) [[unlikely]] {
            shrink();
        }
        return taken;
    }
    // As that, for a thread that has claimed the stack: the memory stays as it is.
    std::size_t take_for_owner(std::size_t count, intrusive_queue<T>& out) noexcept {
        std::size_t const taken = std::min(count, size());
        std::size_t const bottom = bottom_.load(mo_relaxed);
        for (std::size_t i = 0; i < taken; ++i) {
            out.push_back(slots_[(bottom + i) & mask_]);
        }
        bottom_.store(bottom + taken, mo_relaxed);
        return taken;
    }

private:
    static constexpr std::size_t min_capacity = 64;

    [[gnu::noinline]] void grow() { reserve(capacity()); }  // what is there has the size of the ring

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
        if (std::unique_ptr<T*[]> smaller{new (std::nothrow) T* [wanted] {}}) {
            resize(std::move(smaller), wanted);
        }
    }

    [[gnu::noinline]] void resize(std::unique_ptr<T*[]> slots, std::size_t capacity) noexcept {
        std::size_t const count = size();
        MAGPIE_ASSERT(count <= capacity);
        for (std::size_t i = 0; i < count; ++i) {
            slots[i] = slots_[(bottom_.load(mo_relaxed) + i) & mask_];
        }
        slots_ = std::move(slots);
        bottom_.store(0, mo_relaxed);
        top_.store(count, mo_relaxed);
        mask_ = capacity - 1;
        low_ = capacity > min_capacity ? capacity / 8 : 0;
    }

    std::unique_ptr<T*[]> slots_;
    atomic<std::size_t> top_{0};     // one past the newest
    atomic<std::size_t> bottom_{0};  // the oldest; both count up, the slot is the index & mask_
    std::size_t mask_ = min_capacity - 1;
    std::size_t low_ = 0;  // pop() looks closer at this size and below
};

}  // namespace magpie::detail
