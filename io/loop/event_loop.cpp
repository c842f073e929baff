#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/loop/uring_loop.hpp>

#include <algorithm>
#include <mutex>
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
        bool notified = false;
        while (!wakeup_.prepare_sleep()) {
            notified = true;
        }
        if (notified) {
            wakeup_.notify();  // what it was about has not been looked at
        }
    }
}

void event_loop::take_in_messages() noexcept {
    // In this order: an op that is in both is then found in a list of this loop, where cancelling it ends it. If a rescuer
    // has it in its hands at that moment, that one sees that it was asked to.
    starved_.take_all([this](op_base& op) { wait_for_buffer(op); });
    interrupted_.take_all([this](op_base& op) {
        if (op.cancel_was_asked()) {
            op.finish(-ECANCELED);
        } else {
            restart(op);
        }
    });
    cancels_.take_all([this](op_base& op) { cancel(op); });
    returned_.take_all([this](op_base& op) { cancel(op); });
    if (buffers_are_back()) {
        restart_starved();
    }
}

void event_loop::cancel(op_base& op) noexcept {
    if (op.is_done()) {
        op.end_cancel();
    } else if (!take_out_starved(op) && op.where() == op_base::place::kernel) {
        cancel_in_kernel(op);
    } else {
        if (op.where() != op_base::place::kernel) {
            unlink(op);
        }
        op.finish(-ECANCELED);  // the cancellation is open, so that only the next line wakes the task
        op.end_cancel();
    }
}

// True: the cancellation has come to its end, and the op with it. Any thread that has the message.
bool event_loop::end_if_over(op_base& op) noexcept {
    if (!op.is_done()) {
        if (!take_out_starved(op)) {
            return false;
        }
        op.finish(-ECANCELED);
    }
    op.end_cancel();
    return true;
}

void event_loop::give_back(op_base& op) noexcept {
    returned_.post(op);
    wakeup_.notify();
}

void event_loop::end_returned() noexcept {
    returned_.take_all([this](op_base& op) {
        if (!end_if_over(op)) {
            give_back(op);
        }
    });
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

// The look at the request is under the lock, so that no cancellation is missed: either it is seen here, or who carries it
// out comes later and finds the op in the list.
void event_loop::wait_for_buffer(op_base& op) noexcept {
    {
        std::lock_guard const guard(starved_lock_);
        if (!op.cancel_was_asked()) {
            op.set_place(op_base::place::starved);
            without_buffer_.push_back(&op);
            count_starved(+1);
            return;
        }
    }
    op.finish(-ECANCELED);
}

op_base* event_loop::pop_starved() noexcept {
    std::lock_guard const guard(starved_lock_);
    completion* const first = without_buffer_.pop_front();
    if (first == nullptr) {
        return nullptr;
    }
    op_of(*first).set_place(op_base::place::kernel);
    count_starved(-1);
    return &op_of(*first);
}

// False: it is not in the list.
bool event_loop::take_out_starved(op_base& op) noexcept {
    std::lock_guard const guard(starved_lock_);
    if (op.where() != op_base::place::starved) {
        return false;
    }
    without_buffer_.erase(&op);
    op.set_place(op_base::place::kernel);
    count_starved(-1);
    return true;
}

// Ends with nobody left, or with the promise of a notification: a buffer that comes back in between is found at the
// next turn.
void event_loop::restart_starved() noexcept {
    for (;;) {
        std::size_t const starving = starving_.load(mo_relaxed);
        if (starving == 0 || buffers_->wait_for_one(starving)) {
            return;
        }
        for (std::size_t left = buffers_->available(); left != 0; --left) {
            op_base* const op = pop_starved();
            if (op == nullptr) {
                return;
            }
            restart(*op);
        }
    }
}

void event_loop::hand_over(op_base& op, event_loop& to) noexcept {
    op.return_chosen_buffer();  // it is this loop's, and `to` and the task would look for it in the other's pool
    if (op.move_to(to)) {
        to.restart(op);
    } else {
        op.finish(-ECANCELED);
    }
}

void event_loop::hand_over_unstarted(event_loop& to) noexcept {
    constexpr std::size_t most = 64;
    interrupted_.take_all([&](op_base& op) { hand_over(op, to); });
    bool taken_in = false;
    starved_.take_all([&](op_base& op) {
        wait_for_buffer(op);
        taken_in = true;
    });
    std::size_t const wanted = std::min(starving_.load(mo_relaxed), most);
    if (wanted == 0) {
        return;  // nobody needs a pool for that
    }
    buffer_pool* const pool = to.required_buffers();
    for (std::size_t left = pool == nullptr ? 0 : std::min(pool->available_for(wanted), most); left != 0; --left) {
        op_base* const op = pop_starved();
        if (op == nullptr) {
            return;
        }
        hand_over(*op, to);
    }
    if (taken_in) {
        wakeup_.notify();  // the owner may sleep by now, and has not seen them in its list
    }
}

}  // namespace magpie::detail
