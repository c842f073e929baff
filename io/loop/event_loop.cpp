#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/loop/uring_loop.hpp>

#include <new>
#include <typeinfo>

#include <errno.h>

namespace magpie::detail {

namespace {

op_base& op_of(completion& c) noexcept {
    return static_cast<op_base&>(c);
}

}  // namespace

// The usual loop is recognised by one comparison; a dynamic_cast costs ten times as much.
event_loop* current_event_loop() noexcept {
    driver& here = current_driver();
    if (typeid(here) == typeid(uring_loop)) [[likely]] {
        return static_cast<uring_loop*>(&here);
    }
    return dynamic_cast<event_loop*>(&here);
}

void event_loop::begin_poll() noexcept {
    if (watched_.load(mo_relaxed)) [[unlikely]] {
        wakeup_.end_sleep();
    }
}

void event_loop::end_poll() noexcept {
    if (watched_.load(mo_relaxed)) [[unlikely]] {
        listen_for_notifications();
        if (!wakeup_.prepare_sleep()) {
            (void)wakeup_.prepare_sleep();
            wakeup_.notify();  // what was notified meanwhile has not been looked at
        }
    }
}

void event_loop::take_in_messages() noexcept {
    // In this order: an op that is in both is then found in a list of this loop, where cancelling it ends it.
    starved_.take_all([this](op_base& op) { wait_for_buffer(op); });
    cancels_.take_all([this](op_base& op) { cancel(op); });
    returned_.take_all([this](op_base& op) { cancel(op); });
    if (buffers_are_back()) {
        restart_starved();
    }
}

void event_loop::cancel(op_base& op) noexcept {
    if (op.is_done()) {
        op.end_cancel();
    } else if (op.where() == op_base::place::kernel) {
        cancel_in_kernel(op);
    } else {
        if (op.where() == op_base::place::starved) {
            unlink_starved(op);
        } else {
            unlink(op);
        }
        op.finish(-ECANCELED);  // the cancellation is open, so that only the next line wakes the task
        op.end_cancel();
    }
}

// ---------------------------------------------------------------------------------------------- buffers

buffer_pool* event_loop::required_buffers() noexcept {
    if (!buffers_) {
        try {
            buffers_ = make_buffers(buffer_sizes_);
        } catch (std::bad_alloc const&) {
            return nullptr;
        }
    }
    return buffers_.get();
}

bool event_loop::buffers_are_back() const noexcept {
    // acquire: pairs with the release in count_starved(): who sees an op that starves also sees the pool
    return starving_.load(mo_acquire) != 0 && !buffers_->waited_for();
}

void event_loop::count_starved(std::ptrdiff_t change) noexcept {
    // release: pairs with the acquire in buffers_are_back()
    starving_.store(starving_.load(mo_relaxed) + static_cast<std::size_t>(change), mo_release);
}

void event_loop::wait_for_buffer(op_base& op) noexcept {
    if (op.cancel_was_asked()) {
        op.finish(-ECANCELED);
        return;
    }
    op.set_place(op_base::place::starved);
    without_buffer_.push_back(&op);
    count_starved(+1);
}

void event_loop::unlink_starved(op_base& op) noexcept {
    without_buffer_.erase(&op);
    count_starved(-1);
}

// Ends with nobody left, or with the promise of a notification: a buffer that comes back in between is found at the
// next turn.
void event_loop::restart_starved() noexcept {
    while (!without_buffer_.empty() && !buffers_->wait_for_one()) {
        for (std::size_t left = buffers_->available(); left != 0 && !without_buffer_.empty(); --left) {
            op_base& op = op_of(*without_buffer_.front());
            unlink_starved(op);
            restart(op);
        }
    }
}

}  // namespace magpie::detail
