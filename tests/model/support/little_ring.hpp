#pragma once

// A kernel in little, in place of io/loop/ring.hpp's: one ring that takes messages, one eventfd, and operations that wait until
// arrive() says that what they wait for is there. The event loop above it is the library's own. Included before the event loop.
//
// What it has of io_uring in the mode COOP_TASKRUN | TASKRUN_FLAG:
//   - an operation completes in the thread that submitted it, when that one enters the kernel, sleeps, or is kicked; until
//     then it is held back, and the ring says so
//   - a cancellation makes its operation complete in the same way, but itself completes at once
//   - completions without room overflow, and are posted when somebody who has emptied the queue asks for it
//   - who waits for completions waits until the tail has passed the head that it saw first: completions that somebody
//     takes meanwhile are not missed
// Each system call is one step under a lock, as the kernel's own locks order them; what it reads of the queue's indices it
// reads with the orders of ring.hpp.

#include "../model.hpp"
#include "monitor.hpp"

#include <liburing.h>

#define ring ring_of_the_system
#include <magpie/io/loop/ring.hpp>
#undef ring

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>

namespace magpie::detail {

class ring {
public:
    using mode = ring_of_the_system::mode;
    static constexpr unsigned sq_size = 4;
    static constexpr unsigned cq_size = 4;
    static constexpr std::uint64_t multishot_length = 6;  // a request's `offset` that asks for as many completions

    ring(unsigned, unsigned, bool) { only = this; }
    ring(ring const&) = delete;
    ~ring() { only = nullptr; }

    static inline ring* only = nullptr;  // for who makes system calls
    static void close(int) noexcept {}

    int descriptor() const noexcept { return 30; }
    mode how() const noexcept { return {}; }
    unsigned cq_entries() const noexcept { return cq_size; }

    io_uring_sqe* next_entry() noexcept {
        unsigned const head = sq_head_.load(mo_acquire);
        return tail_ - head >= sq_size ? nullptr : &entries_[tail_ % sq_size];
    }
    void publish() noexcept {
        written_[tail_ % sq_size] = tail_;
        ++tail_;
        sq_tail_.store(tail_, mo_release);
    }
    int enter(unsigned submit, unsigned wait, timespec const*, bool flush) noexcept {
        model::monitor::section in(kernel_);
        int const taken = submit_locked(submit);
        run_held_back(rl::thread_index());
        if (wait != 0 || flush) {
            flush_overflow();
        }
        if (wait != 0) {
            unsigned const target = cq_head_.load(mo_relaxed) + wait;
            in.wait_until([&] {
                run_held_back(rl::thread_index());
                return static_cast<int>(cq_tail_.load(mo_relaxed) - target) >= 0;
            });
        }
        in.tell();
        return taken;
    }
    int enter_from_outside(unsigned submit, bool flush) noexcept { return enter(submit, 0, nullptr, flush); }
    int cancel_from_outside(std::uint64_t tag) noexcept {
        model::monitor::section in(kernel_);
        int const result = cancel_locked(tag);
        run_held_back(rl::thread_index());
        in.tell();
        return result;
    }

    unsigned unsubmitted() const noexcept { return sq_tail_.load(mo_acquire) - sq_head_.load(mo_acquire); }
    bool must_enter() const noexcept { return flags_.load(mo_acquire) != 0; }
    bool must_be_kicked() const noexcept { return (flags_.load(mo_acquire) & held_back) != 0; }
    bool has_overflown() const noexcept { return (flags_.load(mo_acquire) & overflown) != 0; }
    bool has_completions() const noexcept { return cq_tail_.load(mo_acquire) != cq_head_.load(mo_acquire); }

    unsigned completions() const noexcept {
        for (unsigned delay = slow_reaper ? rl::rand(24) : 0; delay != 0; --delay) {
            yield_thread();
        }
        return cq_tail_.load(mo_acquire) - cq_head_.load(mo_relaxed);
    }
    static inline bool slow_reaper = false;  // much happens between its looks at whether, and at how many
    io_uring_cqe const& completion(unsigned nth) const noexcept {
        posted const& at = queue_[(cq_head_.load(mo_relaxed) + nth) % cq_size];
        (void)static_cast<int>(at.written);
        return reinterpret_cast<io_uring_cqe const&>(at.cqe);
    }
    void consume(unsigned count) noexcept { cq_head_.store(cq_head_.load(mo_relaxed) + count, mo_release); }

    // --- The world outside.

    // What the operations on this descriptor wait for is there.
    void arrive(int fd) noexcept {
        model::monitor::section in(kernel_);
        arrived_ |= 1U << fd;
        look_at_waiting();
        in.tell();
    }
    // With kernels that take messages; set before the loop is made.
    static inline bool takes_messages = true;
    static constexpr std::uint64_t message_tag = 1;
    static int send_message(int) noexcept {
        if (!takes_messages) {
            return -EINVAL;
        }
        model::monitor::section in(only->kernel_);
        only->post({message_tag, 0, 0});
        in.tell();
        return 0;
    }
    void write_eventfd() noexcept {
        model::monitor::section in(kernel_);
        ++eventfd_;
        look_at_waiting();
        run_held_back(rl::thread_index());
        in.tell();
    }
    // Every thread passes through the kernel.
    void kick() noexcept {
        full_fence();
        model::monitor::section in(kernel_);
        for (unsigned i = 0; i < threads; ++i) {
            run_held_back(i);
        }
        in.tell();
    }
    // This thread computes no more: it sleeps in some system call, and comes back for what is held back for it.
    void leave_cpu() noexcept {
        model::monitor::section in(kernel_);
        asleep_ |= 1U << rl::thread_index();
        run_held_back(rl::thread_index());
        in.tell();
    }
    // The scenario is over: all threads have gone to sleep.
    void all_leave_cpu() noexcept {
        asleep_ = ~0U;
        kick();
    }

private:
    static constexpr unsigned held_back = 1;
    static constexpr unsigned overflown = 2;
    static constexpr unsigned threads = 8;

    struct entry {  // as io_uring_cqe, without its flexible array
        std::uint64_t user_data;
        std::int32_t res;
        std::uint32_t flags;
    };
    struct posted {
        entry cqe{};
        guarded<int> written{0};
    };
    enum class state : std::uint8_t { free, waiting, ready };
    struct operation {
        state is = state::free;
        bool wakes = false;  // the read of the eventfd
        int fd = 0;
        unsigned submitter = 0;
        std::uint64_t tag = 0;
        std::uint64_t buffer = 0;
        std::uint64_t more = 0;  // completions before the last
        std::int32_t result = 0;
    };

    int submit_locked(unsigned most) noexcept {
        unsigned taken = 0;
        unsigned head = sq_head_.load(mo_relaxed);
        for (; taken < most && head != sq_tail_.load(mo_acquire); ++taken, ++head) {
            MAGPIE_ASSERT(static_cast<unsigned>(written_[head % sq_size]) == head);
            io_uring_sqe const& e = entries_[head % sq_size];
            if (e.opcode == IORING_OP_ASYNC_CANCEL) {
                int const result = cancel_locked(e.addr);
                post({e.user_data, result, 0});
                continue;
            }
            operation& op = free_operation();
            op = {.is = state::waiting, .wakes = e.fd == eventfd_descriptor, .fd = e.fd, .submitter = rl::thread_index(),
                  .tag = e.user_data, .buffer = e.addr, .more = e.off == multishot_length ? multishot_length - 1 : 0};
        }
        sq_head_.store(head, mo_release);
        look_at_waiting();
        return static_cast<int>(taken);
    }
    operation& free_operation() noexcept {
        for (operation& each : operations_) {
            if (each.is == state::free) {
                return each;
            }
        }
        MAGPIE_ASSERT(false);
        return operations_[0];
    }
    int cancel_locked(std::uint64_t tag) noexcept {
        for (operation& each : operations_) {
            if (each.is == state::free || each.tag != tag) {
                continue;
            }
            if (each.is == state::ready) {
                return -EALREADY;
            }
            hold_back(each, -ECANCELED);
            return 0;
        }
        return -ENOENT;
    }
    void look_at_waiting() noexcept {
        for (operation& each : operations_) {
            if (each.is == state::waiting && (each.wakes ? eventfd_ != 0 : (arrived_ & (1U << each.fd)) != 0)) {
                hold_back(each, 1);
            }
        }
    }
    void hold_back(operation& op, std::int32_t result) noexcept {
        op.is = state::ready;
        op.result = result;
        flags_.fetch_or(held_back, mo_acq_rel);
        if ((asleep_ & (1U << op.submitter)) != 0) {
            run_held_back(op.submitter);
        }
    }
    void run_held_back(unsigned thread) noexcept {
        bool others = false;
        for (operation& each : operations_) {
            if (each.is == state::ready && each.submitter == thread) {
                end(each);
            }
            others = others || each.is == state::ready;
        }
        if (!others && (flags_.load(mo_relaxed) & held_back) != 0) {
            flags_.fetch_and(~held_back, mo_acq_rel);
        }
    }
    void end(operation& op) noexcept {
        op.is = state::free;
        if (op.wakes) {
            eventfd_ = 0;
        } else if (op.result > 0) {
            guarded<int>& buffer = *reinterpret_cast<guarded<int>*>(op.buffer);
            buffer = buffer + 1;
        }
        for (; op.result > 0 && op.more != 0; --op.more) {
            post({op.tag, op.result, IORING_CQE_F_MORE});
        }
        post({op.tag, op.result, 0});
    }
    bool has_room() const noexcept { return cq_tail_.load(mo_relaxed) - cq_head_.load(mo_acquire) < cq_size; }
    void post(entry const& e) noexcept {
        if (overflow_count_ != 0 || !has_room()) {
            overflow_.at(overflow_count_++) = e;
            flags_.fetch_or(overflown, mo_acq_rel);
        } else {
            put(e);
        }
    }
    void put(entry const& e) noexcept {
        unsigned const tail = cq_tail_.load(mo_relaxed);
        posted& at = queue_[tail % cq_size];
        at.written = 1;
        at.cqe = e;
        cq_tail_.store(tail + 1, mo_release);
    }
    void flush_overflow() noexcept {
        unsigned moved = 0;
        while (moved < overflow_count_ && has_room()) {
            put(overflow_[moved++]);
        }
        std::copy(overflow_.begin() + moved, overflow_.begin() + overflow_count_, overflow_.begin());
        overflow_count_ -= moved;
        if (moved != 0 && overflow_count_ == 0) {
            flags_.fetch_and(~overflown, mo_acq_rel);
        }
    }

public:
    static constexpr int eventfd_descriptor = 31;

private:
    model::monitor kernel_;
    std::array<io_uring_sqe, sq_size> entries_{};
    std::array<guarded<unsigned>, sq_size> written_{};
    std::array<posted, cq_size> queue_{};
    unsigned tail_ = 0;
    atomic<unsigned> sq_tail_{0};
    atomic<unsigned> sq_head_{0};
    atomic<unsigned> cq_tail_{0};
    atomic<unsigned> cq_head_{0};
    atomic<unsigned> flags_{0};
    // Under the kernel's lock:
    std::array<operation, 8> operations_{};
    std::array<entry, 16> overflow_{};
    unsigned overflow_count_ = 0;
    unsigned arrived_ = 0;
    unsigned eventfd_ = 0;
    unsigned asleep_ = 0;
};

}  // namespace magpie::detail
