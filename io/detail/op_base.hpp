#pragma once

// One operation in the kernel, and the task that waits for it. Lies in the awaiting frame.
//
// The frame must not run, and so cannot die, while the kernel may write to what the operation names, or while anybody
// may still mention it to the kernel. So it waits for two things: its own completion queue entry, and, if it was asked
// to cancel, the end of that attempt. Who sees the second of the two come wakes the task.
//
//   state_:  done           the operation's own entry has come: result_ and flags_ are final
//            cancel_open    a message to the home loop, or a cancel entry in the kernel, still names this operation
//            cancel_asked   a canceller, or the op's deadline, has asked at some time; never taken back
//            moving         starved, and on its way to another loop: who asks now leaves the rest to the mover
//
//   0            --reaped(own)-->              done                        the reaper wakes the task
//   0            --try_cancel()-->             cancel_open|asked           the canceller posts a message to the home loop
//   cancel_open  --reaped(own)-->              cancel_open|done            whoever ends the cancellation wakes the task
//   cancel_open  --home loop, op not begun-->  done                        taken off a waiting list; -ECANCELED
//   cancel_open  --home loop, in the kernel--> cancel_open                 a cancel entry is submitted
//   cancel_open  --reaped(cancel)-->           0                           too late, or not possible: a later request tries again
//   cancel_open|done --reaped(cancel)-->       done                        the reaper wakes the task
//   0            --move_to()-->                moving                      refused if asked: then the mover ends the op
//   moving       --try_cancel()-->             moving|asked                no message: the mover ends the op
//   moving       --move_to()-->                0                           home_ is the other loop from here on
//
// The cancel attempt's own result is not looked at: the operation's entry says how it ended. A value that came in spite
// of the request is delivered, and the request stays pending in the task.
// -ENOBUFS for an operation that wants a buffer of the loop's is no end: the op goes back to its home loop, which starts
// it again when a buffer is there, or ends it if it was asked to cancel meanwhile. So does -EINTR that nobody asked for: a
// thread of the kernel's that was to wait for the descriptor was interrupted, as when the system is suspended. Not for
// ever: what says so each time (a file system may) is told to the task. If that loop's owner is stuck, another worker
// takes the op to its own loop and starts it there.
//
// Who may touch what:
//   request_, …             the home loop's owner; what the maps of io/op.hpp set before the op starts
//   place_                  the home loop's owner; into and out of `starved` under that loop's lock for these
//   home_                   written before the op is published, and by a mover; read after a change of state_ that shows
//                           that no mover is at it
//   result_, flags_         whoever sets `done`, before it; the task, after the wake-up
//   interruptions_          the reaper of the op's own entry
//   hook                    whoever holds the op: the owner's list it waits in, or the batch of its reaper
//   work_item::next         the home loop's inbox of cancel messages, before the wake-up
//
// Orders: every change of state_ is an acquire-release read-modify-write, and pairs with the others of the same word,
// so that who wakes the task has seen result_. Towards the reaper the op is published by the submission queue's tail
// and the kernel, which ThreadSanitizer cannot see: tsan_release() in publish(), tsan_acquire() in the loop's reap().

#include <magpie/io/detail/completed.hpp>
#include <magpie/io/detail/completion.hpp>
#include <magpie/io/detail/request.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <cstdint>
#include <string>

namespace magpie::detail {

class event_loop;
class op_deadline;

class op_base : public waiter, public completion {
public:
    // How often an operation is begun again because it was interrupted; after that it ends with EINTR.
    static constexpr unsigned most_interruptions = 100;

    enum channel : unsigned { own_channel = 0, cancel_channel = 1 };

    // Where the home loop's owner has it: in the kernel, or in one of the loop's lists, through the hook.
    enum class place : std::uint8_t {
        kernel,   // submitted, or in the submission queue
        queued,   // the loop has not come to it: no room, or others first
        starved,  // waits for a buffer
        reading,  // poll loop: waits until the descriptor is readable
        writing,  // poll loop: waits until it is writable
    };

    explicit op_base(io::request const& r, op_deadline* deadline = nullptr) noexcept
        : request_(r), deadline_(deadline) {}

    // --- For the loops.

    io::request& request() noexcept { return request_; }
    place where() const noexcept { return place_.load(mo_relaxed); }
    void set_place(place p) noexcept { place_.store(p, mo_relaxed); }
    // The kernel, or the loop, chooses the buffer to receive into.
    bool wants_buffer() const noexcept { return (request_.entry_flags & io::entry_buffer_select) != 0; }
    // The loop chose one before it started the op (where the kernel cannot); with_buffer() tells the result of it.
    void hold_buffer(std::uint16_t id) noexcept { held_buffer_ = id; }
    void let_go_of_buffer() noexcept { held_buffer_ = -1; }
    // Takes that back: the op was interrupted, and is to begin anew in another loop, whose buffers are others. Who holds
    // the op, before move_to().
    void return_chosen_buffer() noexcept;
    bool holds_buffer() const noexcept { return held_buffer_ >= 0; }
    std::uint32_t with_buffer(std::uint32_t flags) const noexcept {
        return holds_buffer() ? flags | io::completed_buffer | static_cast<std::uint32_t>(held_buffer_) << 16 : flags;
    }
    // If it is interrupted it has done nothing.
    bool may_repeat() const noexcept;
    // One step of those that take several was made: the poll loop's, for connect.
    bool was_tried() const noexcept { return tried_; }
    void set_tried() noexcept { tried_ = true; }

    // A request is pending, and the op is not to be tried. Owner.
    bool refuse_if_due() noexcept {
        cancelled_ = context->shield_depth == 0 && context->request_pending();
        return cancelled_;
    }
    // Publishes to cancellers where the task waits, and arms the deadline. False: a request is pending, and the op is not
    // to be begun. Owner.
    [[nodiscard]] bool suspend_task() noexcept;
    // The owner is about to hand it over: from here on, another thread may see it completed.
    void publish() noexcept { tsan_release(static_cast<completion*>(this)); }
    // A result that is there at once, before the task is suspended. Owner.
    void finish_early(std::int32_t result) noexcept {
        result_ = result;
        flags_ = with_buffer(0);
    }
    // Ends an op that the owner holds, and wakes the task unless a cancel message still names it.
    void finish(std::int32_t result) noexcept;
    // The op starved in a loop whose owner is stuck, and the caller has taken it out there: its home is `to` from now on.
    // False: it was asked to cancel, and is to be finished.
    [[nodiscard]] bool move_to(event_loop& to) noexcept;
    // The cancel message or entry is out of the world. Wakes the task if that was the last thing it waited for.
    void end_cancel() noexcept;
    bool is_done() const noexcept {
        return (state_.load(mo_acquire) & done) != 0;
    }  // pairs with the release in reaped()
    bool cancel_was_asked() const noexcept { return (state_.load(mo_acquire) & cancel_asked) != 0; }

    // The deadline has passed. Any thread, while the frame cannot die: from op_deadline.
    void give_up() noexcept { (void)try_cancel(); }

    bool reaped(unsigned which, std::int32_t result, std::uint32_t flags) noexcept final;
    void completed() noexcept final;

protected:
    ~op_base() = default;

    // Hands the op to the current worker's loop. Nothing of *this may be touched after true: the task is suspended.
    // False: it is over already, or a request is pending; settle() tells.
    bool begin() noexcept;
    // After the resumption: throws if the op ended by the task's own cancellation.
    void settle();

    io::completed end() const noexcept { return {result_, flags_, home_}; }

    std::string describe() const override;

private:
    static constexpr std::uint8_t done = 1;
    static constexpr std::uint8_t cancel_open = 2;
    static constexpr std::uint8_t cancel_asked = 4;
    static constexpr std::uint8_t moving = 8;

    bool try_cancel() noexcept final;
    void drop_buffer() noexcept;

    io::request request_;
    op_deadline* const deadline_;  // null: it may wait for ever
    event_loop* home_ = nullptr;
    guarded<std::int32_t> result_ = 0;
    std::uint32_t flags_ = 0;
    atomic<std::uint8_t> state_{0};
    atomic<place> place_{place::kernel};
    bool tried_ = false;
    std::uint8_t interruptions_ = 0;
    std::int32_t held_buffer_ = -1;  // written by the owner before the op is published
};

}  // namespace magpie::detail
