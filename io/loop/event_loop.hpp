#pragma once

#include <magpie/io/detail/op_base.hpp>
#include <magpie/io/loop/buffer_pool.hpp>
#include <magpie/io/loop/op_inbox.hpp>
#include <magpie/io/loop/wakeup.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/driver.hpp>

#include <cstddef>

#include <errno.h>

namespace magpie::detail {

// What an operation asks of its home loop, and what the two loops have in common: how others wake them, how others send
// them operations to cancel, and the buffers that receives borrow.
//
// Receives that found no buffer wait in without_buffer_. The owner starts them again when buffers are back; while it is
// stuck in a task, another worker takes them over to its own loop. Whoever takes an op out of the list, under the lock,
// is the one who goes on with it.
class event_loop : public driver {
public:
    // Begins an operation whose task is suspending itself. False: it was over at once, or was not begun because a
    // request is pending; the task goes on. True: nothing of it may be touched any more. Owner.
    virtual bool start(op_base& op) noexcept = 0;

    void unpark() noexcept final { wakeup_.notify(); }

    // Who asks for it drives the loop from outside, and sleeps elsewhere: from then on every poll() and park() leaves the
    // loop as if it slept, so that who notifies it makes the descriptor readable.
    int wait_fd() const noexcept final {
        watched_.store(true, mo_relaxed);
        return descriptor();
    }

    // The op is to be cancelled, and counts on end_cancel() or its completion queue entry. Any thread.
    void post_cancel(op_base& op) noexcept {
        cancels_.post(op);
        wakeup_.notify();
    }
    // The op was interrupted, and is to be started again. Any thread.
    void post_interrupted(op_base& op) noexcept {
        interrupted_.post(op);
        wakeup_.notify();
    }
    // The op found no buffer. Any thread.
    void post_starved(op_base& op) noexcept {
        starved_.post(op);
        wakeup_.notify();
    }

    // Null until the first receive that borrows. From a task that has such a buffer, or by the owner.
    buffer_pool* buffers() const noexcept { return buffers_.get(); }

protected:
    explicit event_loop(buffer_ring_config const& sizes) : buffer_sizes_(sizes) {}
    ~event_loop() override = default;

    bool has_messages() const noexcept {
        return !cancels_.empty() || !returned_.empty() || !starved_.empty() || !interrupted_.empty() ||
               buffers_are_back();
    }

    // Does what the messages ask for. Owner.
    void take_in_messages() noexcept;

    // Cancellations were posted, and nobody has taken them in. Any thread.
    bool has_cancels() const noexcept { return !cancels_.empty() || !returned_.empty(); }
    // Any thread, for a stuck owner: `cancel(op)` for each operation whose cancellation was posted; false leaves it to the
    // owner, who may be asleep again by now and is notified as for a new one. Of those that were left to it before, some
    // are over by now, and their tasks wait for nothing but the end of the cancellation.
    template <class Cancel>
    void cancel_for_owner(Cancel cancel) noexcept {
        cancels_.take_all([&](op_base& op) {
            if (end_if_over(op)) {
                return;
            }
            if (cancel(op)) {
                op.end_cancel();
            } else {
                give_back(op);
            }
        });
    }
    // Of those that were left to the owner: has one completed meanwhile, or found no buffer? Any thread, for a stuck owner.
    void end_returned() noexcept;

    // Operations wait for a buffer of this loop, or for a new start. Any thread: a hint.
    bool has_unstarted() const noexcept {
        return starving_.load(mo_relaxed) != 0 || !starved_.empty() || !interrupted_.empty();
    }
    // Receives found no buffer, and have not been started again yet. Owner.
    bool has_starved() const noexcept { return starving_.load(mo_relaxed) != 0 || !starved_.empty(); }
    // For a stuck owner, by the owner of `to`: those go over to that loop and start there, as far as it has buffers.
    void hand_over_unstarted(event_loop& to) noexcept;

    // The first and the last thing in poll() and park(). Owner.
    void begin_poll() noexcept;
    void end_poll() noexcept;

    // Readable when there is something to take in.
    virtual int descriptor() const noexcept = 0;
    // Notifications make descriptor() readable from now on.
    virtual void listen_for_notifications() noexcept = 0;
    // The op is in a list of the derived loop: take it out.
    virtual void unlink(op_base& op) noexcept = 0;
    // The op is in the kernel: ask for its cancellation; end_cancel() follows.
    virtual void cancel_in_kernel(op_base& op) noexcept = 0;
    // The op was held back for want of a buffer, and there may be one now.
    virtual void restart(op_base& op) noexcept = 0;
    // A pool of buffers, of which receives borrow.
    virtual buffer_pool_ptr make_buffers(buffer_ring_config const& sizes) = 0;

    // The pool, made now if need be. Null: no memory. Owner.
    buffer_pool* required_buffers() noexcept;
    // Keeps the op until a buffer comes back. Who holds the op.
    void wait_for_buffer(op_base& op) noexcept;

    wakeup wakeup_;

private:
    bool buffers_are_back() const noexcept;
    void cancel(op_base& op) noexcept;
    void restart_starved() noexcept;
    bool end_if_over(op_base& op) noexcept;
    void hand_over(op_base& op, event_loop& to) noexcept;
    void give_back(op_base& op) noexcept;
    op_base* pop_starved() noexcept;
    bool take_out_starved(op_base& op) noexcept;
    void count_starved(std::ptrdiff_t change) noexcept;

    op_inbox<link_of_item> cancels_;
    op_inbox<link_of_item> returned_;  // cancellations that others could not carry out in the owner's stead
    op_inbox<link_of_hook> starved_;
    op_inbox<link_of_hook> interrupted_;
    buffer_ring_config buffer_sizes_;
    buffer_pool_ptr buffers_;
    mutable atomic<bool> watched_{false};
    spin_lock starved_lock_;
    completion_list without_buffer_;   // under starved_lock_; who is in there has place::starved
    atomic<std::size_t> starving_{0};  // how many are in there: written under starved_lock_
};

// The current worker's event loop; null under the simulated clock. On a worker only.
event_loop* current_event_loop() noexcept;

}  // namespace magpie::detail
