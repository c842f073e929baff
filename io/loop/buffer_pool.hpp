#pragma once

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace magpie::detail {

class wakeup;

// The buffers of one event loop, which receives borrow: an idle connection holds none. Either the kernel chooses, from
// a ring that it and this class share, when there is something to receive; or the loop does, where that cannot be had.
// The kernel goes through all that lie in the ring, and so touches them all: it is offered a few, and twice as many
// whenever all were taken at once, until it has been offered every one.
//
// A buffer is given back from any thread, and also after the loop is gone: the pool then lives on until the last one is
// back. Whoever writes to the ring's tail, or to the free list, holds lock_; the kernel reads the tail.
class buffer_pool {
public:
    // `owner` is told when a buffer is back for which wait_for_one() waits. Throws std::bad_alloc.
    buffer_pool(buffer_ring_config const& sizes, wakeup& owner);
    buffer_pool(buffer_pool const&) = delete;
    buffer_pool& operator=(buffer_pool const&) = delete;

    // Memory for the ring that the kernel takes buffers from, a page and more; and then, if the kernel took it,
    // the first buffers are put there.
    void* ring_memory() const noexcept { return ring_; }
    void let_kernel_choose() noexcept;
    bool kernel_chooses() const noexcept { return kernel_chooses_; }

    std::span<std::byte> at(std::uint16_t id) const noexcept { return {memory_ + id * size_, size_}; }
    unsigned count() const noexcept { return count_; }
    std::size_t size() const noexcept { return size_; }

    // The kernel has taken one. Under the loop's reap lock.
    void note_taken() noexcept { taken_.store(taken_.load(mo_relaxed) + 1, mo_relaxed); }
    // Takes one, where the kernel does not. Owner.
    std::optional<std::uint16_t> take() noexcept;
    // Any thread. The pool may be gone afterwards.
    void give_back(std::uint16_t id) noexcept;

    // How many can be taken, as far as it is known: the kernel may have taken one whose entry nobody has reaped.
    std::size_t available() const noexcept;
    // As available(), for `wanted` receives; if that is fewer, the kernel is offered twice as many as before. Owner.
    std::size_t available_for(std::size_t wanted) noexcept;
    // True: all are taken, and the owner will be notified when one is back. Else some can be taken now. Owner.
    // `wanted` receives found none: although some may be back by now, there were not enough.
    bool wait_for_one(std::size_t wanted = 1) noexcept;
    bool waited_for() const noexcept { return waited_for_.load(mo_relaxed); }

    // The loop ends; the kernel uses no buffer any more. The pool goes when the last buffer is back.
    void close() noexcept;

private:
    ~buffer_pool();
    void offer(std::size_t how_many) noexcept;
    void offer_for(std::size_t wanted) noexcept;
    void put_into_ring(std::uint16_t id) noexcept;
    std::size_t available_locked() const noexcept;

    std::size_t const size_;
    unsigned const count_;
    std::byte* memory_ = nullptr;
    void* ring_ = nullptr;
    bool kernel_chooses_ = false;
    atomic<std::uint64_t> taken_{0};  // one writer at a time: the reaper, or the owner
    mutable spin_lock lock_;
    // Under lock_:
    wakeup* owner_;  // null: closed
    std::uint64_t given_back_ = 0;
    std::uint16_t tail_ = 0;  // of the ring
    std::vector<std::uint16_t> free_;  // with a ring: those that have not been offered yet
    atomic<bool> waited_for_{false};  // read without the lock, as a hint
};

struct buffer_pool_closer {
    void operator()(buffer_pool* pool) const noexcept { pool->close(); }
};
using buffer_pool_ptr = std::unique_ptr<buffer_pool, buffer_pool_closer>;

}  // namespace magpie::detail
