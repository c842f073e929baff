#pragma once

// The event loop of one worker over one io_uring.
//
// Submission is the owner's. Entries gather in the submission queue; poll() hands them over and takes completions in
// with one system call, park() does the same and sleeps in it.
//
// Completions may be taken in by any thread, one at a time: reap() takes the reap lock, or gives up; copies a batch of
// entries into the operations they belong to; frees the lock; and only then wakes tasks. Under the lock there is no
// system call, no allocation and no code of others, so that a holder that is preempted is the worst that can happen.
//
// For an owner that is stuck in a task another thread does more than that: take_over() also submits what the owner has
// published, cancels what it has been told to cancel, and kicks it (runtime/detail/kick.hpp) if the kernel holds
// completions back for it. It never fills an entry of the queue, nor touches a list but that of the operations without
// a buffer, which has a lock and whose members it moves to its own loop. And it keeps away from an owner that sleeps, or
// is about to: the kernel would not see that the completions which are to end the sleep have gone. Dekker's pattern:
// the owner stores parking_, fences, and does not sleep if somebody reaps; a reaper takes the lock, fences, and leaves
// if the owner is parking.
//
// Normally no more is in flight than the completion queue can hold: begun_ - reaped_ counts what has been promised a
// place. Operations stay a little below that bound, so that there is room for cancellations, and for the one read by
// which other threads wake this loop. What finds no room waits in a list. But what is in flight may be reads that only
// end when what waits has been written: so while nothing ends, the bound gives way. Entries that then find no place are
// kept by the kernel, at a cost, until the loop enters it.

#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/loop/ring.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>

#include <cstddef>
#include <cstdint>

namespace magpie::detail {

class uring_loop final : public event_loop {
public:
    // Throws std::system_error with the errno of io_uring_setup().
    explicit uring_loop(io_config const& settings);
    ~uring_loop() override;

    void poll() override;
    void park(time_point deadline) override;
    void retire() noexcept override;
    bool has_work() const noexcept override;
    std::size_t reap() noexcept override;
    std::size_t take_over() noexcept override;
    bool is_stranded() const noexcept override;
    bool holds_back() const noexcept override { return ring_.must_be_kicked(); }
    std::uint64_t kicks() const noexcept override { return kicks_.load(mo_relaxed); }
    std::size_t in_flight() const noexcept override;
    std::uint64_t completions() const noexcept override { return completions_.load(mo_relaxed); }
    char const* name() const noexcept override { return "io_uring"; }

    bool start(op_base& op) noexcept override;

    // How often an operation found no room and had to wait for it. Any thread.
    std::uint64_t times_without_room() const noexcept { return without_room_.load(mo_relaxed); }
    ring::mode how() const noexcept { return ring_.how(); }

private:
    // The read of the wake-up's eventfd.
    class wake_read final : public completion {
    public:
        bool reaped(unsigned, std::int32_t, std::uint32_t) noexcept override {
            armed_.store(false, mo_release);  // pairs with the acquire in armed(): the kernel is done with value
            return false;
        }
        void completed() noexcept override {}
        bool armed() const noexcept { return armed_.load(mo_acquire); }
        void arm() noexcept { armed_.store(true, mo_relaxed); }
        std::uint64_t value = 0;

    private:
        atomic<bool> armed_{false};
    };

    int descriptor() const noexcept override { return ring_.descriptor(); }
    void listen_for_notifications() noexcept override;
    void unlink(op_base& op) noexcept override;
    void cancel_in_kernel(op_base& op) noexcept override;
    void restart(op_base& op) noexcept override;
    buffer_pool_ptr make_buffers(buffer_ring_config const& sizes) override;

    [[nodiscard]] bool choose_buffer(op_base& op) noexcept;
    [[nodiscard]] bool try_start(op_base& op, std::uint64_t limit) noexcept;
    [[nodiscard]] bool try_cancel(op_base& op, std::uint64_t limit) noexcept;
    void start_queued(bool idle) noexcept;
    [[nodiscard]] bool nothing_ends(bool idle) noexcept;
    io_uring_sqe* next_entry() noexcept;
    void publish() noexcept;
    [[nodiscard]] bool arm_wake_read() noexcept;
    void cancel_wake_read() noexcept;
    void enter(unsigned wait, timespec const* timeout) noexcept;
    static std::uint64_t tag_of(completion& c, unsigned channel) noexcept {
        return reinterpret_cast<std::uintptr_t>(&c) | channel;
    }

    std::size_t reap_all() noexcept;
    unsigned reap_batch(completion_list& done) noexcept;
    void kick_owner() noexcept;

    // Entries that the completion queue must have a place for.
    std::uint64_t promised() const noexcept {
        std::uint64_t const reaped = reaped_.load(mo_relaxed);
        return begun_.load(mo_relaxed) - reaped;
    }

    // The owner's.
    ring ring_;
    std::uint64_t op_limit_;                     // most entries promised before operations must wait
    std::uint64_t cancel_limit_;                 // most entries promised before cancellations must wait
    std::uint64_t reaped_at_look_ = 0;           // reaped_, when start_queued() last found some without room
    unsigned looks_in_vain_ = 0;                 // how often it has found the same since
    completion_list queued_;                     // operations without room
    intrusive_queue<work_item> queued_cancels_;  // operations whose cancellation has no room
    bool retired_ = false;                       // retire() has begun a cancellation, which may not have ended
    // Written by the owner, read by has_work() and the like.
    atomic<std::uint64_t> begun_{0};
    atomic<std::uint64_t> without_room_{0};
    atomic<bool> ops_queued_{false};      // queued_ is not empty
    atomic<bool> cancels_queued_{false};  // queued_cancels_ is not empty

    alignas(cache_line_size) atomic<bool> reaping_{false};  // the reap lock
    atomic<bool> parking_{false};                           // the owner sleeps, or is about to
    // Written under the reap lock.
    atomic<std::uint64_t> reaped_{0};
    atomic<std::uint64_t> completions_{0};
    wake_read wake_read_;
    atomic<std::int64_t> last_kick_{0};  // when the owner was last kicked, as a count of nanoseconds
    atomic<std::uint64_t> kicks_{0};
};

}  // namespace magpie::detail
