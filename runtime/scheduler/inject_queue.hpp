#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/scheduler/block_fifo.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>

namespace magpie::detail {

// Work from outside the workers and what overflowed their run queues: many producers, many consumers, FIFO.
//
// The items go in and out under a lock, a few stores at a time; the length stands beside it, so that a worker that finds
// the queue empty, which is nearly always, touches one shared line and no lock.
//
// The length is written under the lock and read without it. It publishes nothing by itself (who sees it above zero
// takes the lock), so it is relaxed; what it must not do is be missed by a worker that is about to sleep. That is the
// business of the two full fences in idle_set's proof: the producer's between push() and worker_to_wake(), the
// worker's between park() and its second look.
template <class T>
class inject_queue {
public:
    inject_queue() = default;
    inject_queue(inject_queue const&) = delete;
    inject_queue& operator=(inject_queue const&) = delete;

    // Any thread. False: closed; the item is still the caller's.
    [[nodiscard]] bool push(T* item) noexcept {
        return add(1, [&](auto& blocks) { items_.push_back(item, blocks); });
    }

    // Any thread. All of `items` in order, with nothing in between. False: closed; `items` is unchanged.
    [[nodiscard]] bool push_batch(intrusive_queue<T>&& items) noexcept {
        if (items.empty()) {
            return !closed();
        }
        return add(items.size(), [&](auto& blocks) {
            while (T* const item = items.pop_front()) {
                items_.push_back(item, blocks);
            }
        });
    }

    // Any thread. The oldest item, or null. Goes on after close(): what was taken in must come out.
    T* pop() noexcept {
        if (empty()) {
            return nullptr;
        }
        stock left;  // freed after the lock
        std::lock_guard const guard(lock_);
        T* const item = items_.pop_front(left);
        length_.store(items_.size(), mo_relaxed);
        return item;
    }

    // Any thread. Moves up to `max` of the oldest items that are there now to the back of `out`, in order; returns how many.
    // Of very many, others may take some in between.
    std::size_t pop_batch(intrusive_queue<T>& out, std::size_t max) noexcept {
        stock left;  // freed without the lock
        std::size_t const most = std::min(max, size());
        std::size_t taken = 0;
        for (bool more = true; more && taken < most;) {
            std::lock_guard const guard(lock_);
            std::size_t const until = std::min(most, taken + at_a_time);
            while (taken < until && more) {
                T* const item = items_.pop_front(left);
                more = item != nullptr;
                if (more) {
                    out.push_back(item);
                    ++taken;
                }
            }
            length_.store(items_.size(), mo_relaxed);
        }
        return taken;
    }

    // Any thread; once is enough. Every push that begins after it returns is refused; what was taken in before can
    // still be popped, and is seen by whoever has seen the queue closed. True for the call that closed it.
    bool close() noexcept {
        std::lock_guard const guard(lock_);
        // release: pairs with the acquire in closed(): the lengths written before are seen with it
        return !closed_.exchange(true, mo_release);
    }

    // acquire: pairs with the release in close()
    bool closed() const noexcept { return closed_.load(mo_acquire); }

    // Hints, exact only while nobody pushes or pops.
    std::size_t size() const noexcept { return length_.load(mo_relaxed); }
    bool empty() const noexcept { return size() == 0; }

private:
    using stock = block_fifo<T>::stock;
    static constexpr std::size_t at_a_time = 128;  // items under one hold of the lock

    // Calls put(blocks) under the lock, for so many items; the memory for them is made before, without it.
    template <class Put>
    bool add(std::size_t count, Put put) noexcept {
        stock blocks;
        for (;;) {
            std::size_t lacking = 0;
            {
                std::lock_guard const guard(lock_);
                if (closed_.load(mo_relaxed)) {
                    return false;
                }
                lacking = items_.lacking(count);
                if (lacking <= blocks.tried()) [[likely]] {
                    put(blocks);
                    length_.store(items_.size(), mo_relaxed);
                    return true;
                }
            }
            blocks.fill(lacking);
        }
    }

    alignas(cache_line_size) atomic<std::size_t> length_{0};  // items_.size(); written under the lock
    atomic<bool> closed_{false};                              // set once, under the lock
    alignas(cache_line_size) spin_lock lock_;
    block_fifo<T> items_;  // under the lock
};

}  // namespace magpie::detail
