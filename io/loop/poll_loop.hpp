#pragma once

// The event loop of one worker over epoll, for where io_uring is refused.
//
// An operation is a system call that does not wait (loop/poll_syscalls.hpp). It is tried when it starts, and if the
// descriptor is not ready, again when epoll says that it is. One that succeeds at once does not suspend its task, but is
// charged to the turn's budget, so that a socket that is always ready cannot keep the worker to itself: when the budget
// is used up, the operation is queued and tried by the next poll().
//
// Everything here belongs to whoever holds the lock, but for the inboxes of event_loop: a cancellation is a message, and
// the operation is still in a list of this loop when the message comes, or has ended. The holder is the owner, but for
// the sleep itself; or, while the owner is stuck in a task, another thread that makes a round in its stead, take_over().
// That one never waits for the lock, and keeps away from an owner that sleeps: it would eat the events for which that one
// is about to be woken.
//
// Descriptors are registered for one event at a time (EPOLLONESHOT) and armed again for each wait: a descriptor may be
// closed and its number given out anew between two operations, and no state of ours may depend on that.

#include <magpie/io/fd.hpp>
#include <magpie/io/loop/event_loop.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

struct epoll_event;

namespace magpie::detail {

class poll_loop final : public event_loop {
public:
    // Throws std::system_error.
    explicit poll_loop(io_config const& settings);

    void poll() override;
    void park(time_point deadline) override;
    bool has_work() const noexcept override { return has_messages() || anything_queued_.load(mo_relaxed); }
    std::size_t reap() noexcept override { return 0; }
    std::size_t take_over() noexcept override;
    bool is_stranded() const noexcept override;
    std::size_t in_flight() const noexcept override { return 0; }  // the kernel writes to nothing between our calls
    std::size_t waiting() const noexcept override { return waiting_.load(mo_relaxed); }
    std::uint64_t completions() const noexcept override { return ended_.load(mo_relaxed); }
    char const* name() const noexcept override { return "poll"; }

    bool start(op_base& op) noexcept override;

private:
    // Who waits at a descriptor.
    struct place_to_wait {
        completion_list readers;
        completion_list writers;
        unsigned for_both = 0;       // readers that wait for both sides
        bool is_registered = false;  // as far as we know
    };

    int descriptor() const noexcept override { return epoll_.get(); }
    void listen_for_notifications() noexcept override {}  // the eventfd is always in the set
    void unlink(op_base& op) noexcept override;
    void cancel_in_kernel(op_base& op) noexcept override;
    void restart(op_base& op) noexcept override;
    buffer_pool_ptr make_buffers(buffer_ring_config const& sizes) override;

    int attempt(op_base& op) noexcept;
    int attempt_with_buffer(op_base& op) noexcept;
    void wait(op_base& op, int why) noexcept;
    void wait_until_ready(op_base& op) noexcept;
    int arm(int fd) noexcept;
    void queue(op_base& op) noexcept;
    void try_queued() noexcept;
    void try_waiting(completion_list& waiting) noexcept;
    void on_ready(int fd) noexcept;
    void finish(op_base& op, int result) noexcept;
    void note_waiting(std::ptrdiff_t change) noexcept {
        waiting_.store(waiting_.load(mo_relaxed) + static_cast<std::size_t>(change), mo_relaxed);
    }
    void note_end() noexcept { ended_.store(ended_.load(mo_relaxed) + 1, mo_relaxed); }
    void take_in(int count, epoll_event const* events) noexcept;
    void round() noexcept;
    void eat_wakeup() noexcept;
    int wait_for_events(time_point deadline, epoll_event* events) noexcept;

    std::mutex lock_;
    io::fd epoll_;
    std::vector<place_to_wait> places_;    // by descriptor
    completion_list queued_;               // not tried yet: others come first
    atomic<bool> anything_queued_{false};  // queued_ is not empty; others read it as a hint
    bool wake_pending_ = false;            // epoll has told somebody that the eventfd is readable
    bool owner_sleeps_ = false;            // or is about to: in epoll_wait() without the lock
    atomic<bool> has_nanosecond_wait_{true};  // epoll_pwait2, Linux 5.11
    atomic<std::uint64_t> ended_{0};       // written under the lock
    atomic<std::size_t> waiting_{0};       // operations in places_: written under the lock
};

}  // namespace magpie::detail
