#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <array>
#include <string_view>

#include <errno.h>

namespace magpie::detail {

namespace {

std::string_view name_of(io::opcode code) noexcept {
    static constexpr std::array<std::string_view, 58> names = {"nop",
                                                               "readv",
                                                               "writev",
                                                               "fsync",
                                                               "read_fixed",
                                                               "write_fixed",
                                                               "poll_add",
                                                               "poll_remove",
                                                               "sync_file_range",
                                                               "sendmsg",
                                                               "recvmsg",
                                                               "timeout",
                                                               "timeout_remove",
                                                               "accept",
                                                               "async_cancel",
                                                               "link_timeout",
                                                               "connect",
                                                               "fallocate",
                                                               "openat",
                                                               "close",
                                                               "files_update",
                                                               "statx",
                                                               "read",
                                                               "write",
                                                               "fadvise",
                                                               "madvise",
                                                               "send",
                                                               "recv",
                                                               "openat2",
                                                               "epoll_ctl",
                                                               "splice",
                                                               "provide_buffers",
                                                               "remove_buffers",
                                                               "tee",
                                                               "shutdown",
                                                               "renameat",
                                                               "unlinkat",
                                                               "mkdirat",
                                                               "symlinkat",
                                                               "linkat",
                                                               "msg_ring",
                                                               "fsetxattr",
                                                               "setxattr",
                                                               "fgetxattr",
                                                               "getxattr",
                                                               "socket",
                                                               "uring_cmd",
                                                               "send_zc",
                                                               "sendmsg_zc",
                                                               "read_multishot",
                                                               "waitid",
                                                               "futex_wait",
                                                               "futex_wake",
                                                               "futex_waitv",
                                                               "fixed_fd_install",
                                                               "ftruncate",
                                                               "bind",
                                                               "listen"};
    auto const index = static_cast<std::size_t>(code);
    return index < names.size() ? names[index] : std::string_view("an operation");
}

}  // namespace

bool op_base::begin() noexcept {
    home_ = current_event_loop();
    if (home_ == nullptr) {
        finish_early(-EOPNOTSUPP);
        return false;
    }
    return home_->start(*this);
}

// The deadline comes second: an op that is refused goes on at once, and nothing may know of it then.
bool op_base::suspend_task() noexcept {
    cancelled_ = !context->suspend(*this);
    if (cancelled_) {
        return false;
    }
    if (deadline_ != nullptr && deadline_->is_set()) {
        deadline_->arm_for(*this);
    }
    return true;
}

void op_base::settle() {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    bool const timed_out = deadline_ != nullptr && deadline_->stop();
    // -EINTR: an operation that blocks a thread of the kernel's is cancelled by interrupting that thread.
    if (result_ == -ECANCELED || result_ == -EINTR) {
        if (context->take_request()) {
            drop_buffer();
            throw task_cancelled();
        }
        if (timed_out) {
            result_ = -ETIMEDOUT;
        }
    }
}

// The buffer that the loop chose for an operation that received nothing.
void op_base::drop_buffer() noexcept {
    if ((flags_ & io::completed_buffer) != 0) {
        home_->buffers()->give_back(static_cast<std::uint16_t>(flags_ >> 16));
    }
}

void op_base::return_chosen_buffer() noexcept {
    if (holds_buffer()) {
        home_->buffers()->give_back(static_cast<std::uint16_t>(held_buffer_));
        let_go_of_buffer();
        request_.entry_flags |= io::entry_buffer_select;
        request_.address = 0;
        request_.length = 0;
    }
}

bool op_base::try_cancel() noexcept {
    std::uint8_t seen = state_.load(mo_relaxed);
    for (;;) {
        if ((seen & (done | cancel_open)) != 0) {
            return false;  // over, or on its way already
        }
        inject_point();
        bool const is_moving = (seen & moving) != 0;
        auto const asked = static_cast<std::uint8_t>(seen | cancel_asked | (is_moving ? 0 : cancel_open));
        if (state_.compare_exchange_weak(seen, asked, mo_acq_rel, mo_relaxed)) {
            if (!is_moving) {
                home_->post_cancel(*this);
            }
            return false;  // the op's own completion ends the wait
        }
    }
}

bool op_base::move_to(event_loop& to) noexcept {
    std::uint8_t seen = state_.load(mo_relaxed);
    do {
        if ((seen & cancel_asked) != 0) {
            return false;
        }
        inject_point();
    } while (!state_.compare_exchange_weak(seen, static_cast<std::uint8_t>(seen | moving), mo_acq_rel, mo_relaxed));
    home_ = &to;
    inject_point();
    return (state_.fetch_and(static_cast<std::uint8_t>(~moving), mo_acq_rel) & cancel_asked) == 0;
}

bool op_base::reaped(unsigned which, std::int32_t result, std::uint32_t flags) noexcept {
    if (which == cancel_channel) {
        std::uint8_t const before = state_.fetch_and(static_cast<std::uint8_t>(~cancel_open), mo_acq_rel);
        return (before & done) != 0;
    }
    if ((flags & io::completed_notification) == 0) {
        result_ = result;
        flags_ = with_buffer(flags);
    }
    if ((flags & io::completed_more) != 0) {
        return false;
    }
    if (result == -ENOBUFS && wants_buffer()) {
        return true;
    }
    if (result == -EINTR && may_repeat() && !cancel_was_asked() && interruptions_ < most_interruptions) {
        ++interruptions_;
        return true;
    }
    inject_point();
    std::uint8_t const before = state_.fetch_or(done, mo_acq_rel);
    return (before & cancel_open) == 0;
}

bool op_base::may_repeat() const noexcept {
    switch (request_.code) {
    case io::opcode::nop:
    case io::opcode::read:
    case io::opcode::readv:
    case io::opcode::write:
    case io::opcode::writev:
    case io::opcode::recv:
    case io::opcode::recvmsg:
    case io::opcode::send:
    case io::opcode::sendmsg:
    case io::opcode::accept:
    case io::opcode::poll_add:
        return true;
    default:
        return false;
    }
}

void op_base::completed() noexcept {
    if (is_done()) {
        wake();
    } else if (result_ == -EINTR) {
        if (!holds_buffer()) {
            drop_buffer();
        }
        home_->post_interrupted(*this);
    } else {
        home_->post_starved(*this);
    }
}

void op_base::finish(std::int32_t result) noexcept {
    finish_early(result);
    inject_point();
    if ((state_.fetch_or(done, mo_acq_rel) & cancel_open) == 0) {
        wake();
    }
}

void op_base::end_cancel() noexcept {
    inject_point();
    if ((state_.fetch_and(static_cast<std::uint8_t>(~cancel_open), mo_acq_rel) & done) != 0) {
        wake();
    }
}

std::string op_base::describe() const {
    std::string text = "io ";
    text += name_of(request_.code);
    if (request_.fd >= 0) {
        text += " on descriptor " + std::to_string(request_.fd);
    }
    return text;
}

}  // namespace magpie::detail
