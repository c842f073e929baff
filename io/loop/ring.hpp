#pragma once

#include <liburing.h>

#include <cstdint>
#include <ctime>

namespace magpie::detail {

// One io_uring: its memory, its file descriptor, and the few accesses to both that the loop needs. Not synchronised:
// submission is the owner's, completion that of whoever holds the loop's reap lock.
//
// The mode is COOP_TASKRUN | TASKRUN_FLAG where the kernel has it, and neither SINGLE_ISSUER nor DEFER_TASKRUN: other
// threads must be able to see, and to take, the completions of an owner that is busy. A descriptor that is not
// registered with the thread is used for the same reason.
class ring {
public:
    // What set-up gave, in the kernel's own flags: IORING_SETUP_…, IORING_FEAT_….
    struct mode {
        std::uint32_t setup = 0;
        std::uint32_t features = 0;
    };

    // Sizes are rounded up to powers of two, and clamped to what the kernel allows. Throws std::system_error with the
    // errno of io_uring_setup(), or ENOSYS if the kernel's io_uring is too old.
    ring(unsigned entries, unsigned cq_entries, bool sqpoll);
    ring(ring const&) = delete;
    ring& operator=(ring const&) = delete;
    ~ring();

    int descriptor() const noexcept { return ring_.ring_fd; }
    mode how() const noexcept { return {ring_.flags, ring_.features}; }
    unsigned cq_entries() const noexcept { return ring_.cq.ring_entries; }

    // --- The owner.

    // An entry to fill, or null: the queue is full. Counts only once publish() was called.
    io_uring_sqe* next_entry() noexcept {
        unsigned const head = load(ring_.sq.khead);
        return tail_ - head >= ring_.sq.ring_entries ? nullptr : &ring_.sq.sqes[tail_ & ring_.sq.ring_mask];
    }
    // The entry is whole: the kernel, and a thread that submits in the owner's stead, may take it.
    void publish() noexcept {
        ++tail_;
        store(ring_.sq.ktail, tail_);
    }

    // Submits up to `submit` entries, sleeps until `wait` completions are there or `timeout` (null: none) has passed,
    // lets the kernel post what it holds back if `flush`. 0 or more: entries submitted; below zero: a negated errno.
    int enter(unsigned submit, unsigned wait, timespec const* timeout, bool flush) noexcept;

    // --- Any thread.

    // Puts a completion with message_tag into the queue of the ring with this descriptor; whoever sleeps in the ring wakes
    // up. 0, or a negated errno: kernels before 6.13 refuse it.
    static int send_message(int descriptor) noexcept {
        constexpr unsigned register_send_msg_ring = 31;  // not in liburing 2.3
        constexpr unsigned no_ring = ~0U;
        io_uring_sqe message{};
        message.opcode = IORING_OP_MSG_RING;
        message.fd = descriptor;
        message.off = message_tag;
        return io_uring_register(no_ring, register_send_msg_ring, &message, 1);
    }
    static constexpr std::uint64_t message_tag = 1;  // the address of no completion

    // For an owner that is busy: hands over what it has published, and makes the kernel post what overflowed the queue.
    // As enter() otherwise.
    int enter_from_outside(unsigned submit, bool flush) noexcept;
    // Cancels what was submitted with this tag, waiting for nothing. 0, or a negated errno: -ENOENT if there is no such
    // operation, -EALREADY or -ETIME if it is too late. Linux 6.0.
    int cancel_from_outside(std::uint64_t tag) noexcept;

    // Published and not yet taken by the kernel.
    unsigned unsubmitted() const noexcept { return load(ring_.sq.ktail) - load(ring_.sq.khead); }
    // The kernel holds completions back until somebody enters it: task work, or what overflowed the queue.
    bool must_enter() const noexcept { return (load(ring_.sq.kflags) & (sq_taskrun | IORING_SQ_CQ_OVERFLOW)) != 0; }
    bool must_be_kicked() const noexcept { return (load(ring_.sq.kflags) & sq_taskrun) != 0; }
    bool has_overflown() const noexcept { return (load(ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0; }
    bool has_completions() const noexcept { return load(ring_.cq.ktail) != load(ring_.cq.khead); }

    // --- Whoever holds the reap lock.

    unsigned completions() const noexcept { return load(ring_.cq.ktail) - *ring_.cq.khead; }
    io_uring_cqe const& completion(unsigned nth) const noexcept {
        return ring_.cq.cqes[(*ring_.cq.khead + nth) & ring_.cq.ring_mask];
    }
    void consume(unsigned count) noexcept { store(ring_.cq.khead, *ring_.cq.khead + count); }

private:
    static constexpr unsigned sq_taskrun = 1U << 2;  // IORING_SQ_TASKRUN

    // The queues' indices are shared with the kernel: acquire pairs with its release, and the other way round.
    static unsigned load(unsigned const* index) noexcept { return __atomic_load_n(index, __ATOMIC_ACQUIRE); }
    static void store(unsigned* index, unsigned value) noexcept { __atomic_store_n(index, value, __ATOMIC_RELEASE); }

    io_uring ring_{};
    unsigned tail_ = 0;
    bool sqpoll_ = false;
};

}  // namespace magpie::detail
