#include <magpie/io/loop/ring.hpp>
#include <magpie/runtime/detail/atomic.hpp>

#include <system_error>

#include <errno.h>
#include <signal.h>

namespace magpie::detail {

namespace {

constexpr unsigned sqpoll_idle_ms = 50;  // of the kernel's thread, before it sleeps

// What the loop cannot do without; all of them since 5.11.
constexpr std::uint32_t required_features = IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;

int try_set_up(unsigned entries, unsigned cq_entries, std::uint32_t flags, io_uring& ring) noexcept {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = cq_entries;
    params.sq_thread_idle = sqpoll_idle_ms;
    return -io_uring_queue_init_params(entries, &ring, &params);
}

// Newest first: what an older kernel does not know it refuses with EINVAL.
int set_up(unsigned entries, unsigned cq_entries, bool sqpoll, io_uring& ring) noexcept {
    constexpr std::uint32_t flag_sets[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,  // 5.19
        IORING_SETUP_SUBMIT_ALL,                                                          // 5.18
        0,
    };
    constexpr std::uint32_t cooperative = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    int error = EINVAL;
    for (std::uint32_t const flags : flag_sets) {
        // The kernel's thread has no use for the cooperative mode, and refuses it.
        error = try_set_up(entries, cq_entries, sqpoll ? (flags & ~cooperative) | IORING_SETUP_SQPOLL : flags, ring);
        if (error != EINVAL) {
            break;
        }
    }
    return error;
}

}  // namespace

ring::ring(unsigned entries, unsigned cq_entries, bool sqpoll) : sqpoll_(sqpoll) {
    if (int const error = set_up(entries, cq_entries, sqpoll, ring_); error != 0) {
        throw std::system_error(error, std::system_category(), "io_uring_setup");
    }
    if ((ring_.features & required_features) != required_features) {
        io_uring_queue_exit(&ring_);
        throw std::system_error(ENOSYS, std::system_category(), "io_uring before Linux 5.11");
    }
    // The memory may have been another ring's, of another thread: mapped and unmapped without TSan seeing it.
    tsan_acquire(ring_.sq.ring_ptr);
    // Entry i is always in slot i, so this index array never changes again.
    for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) {
        ring_.sq.array[i] = i;
    }
    tail_ = *ring_.sq.ktail;
}

ring::~ring() {
    tsan_release(ring_.sq.ring_ptr);
    io_uring_queue_exit(&ring_);
}

int ring::enter(unsigned submit, unsigned wait, timespec const* timeout, bool flush) noexcept {
    unsigned flags = 0;
    if (wait != 0 || flush) {
        flags |= IORING_ENTER_GETEVENTS;
    }
    if (sqpoll_) {
        full_fence();  // the tail before the look at whether the kernel's thread sleeps
        if ((load(ring_.sq.kflags) & IORING_SQ_NEED_WAKEUP) != 0) {
            flags |= IORING_ENTER_SQ_WAKEUP;
        } else if (flags == 0) {
            return static_cast<int>(submit);
        }
    }
    if (timeout == nullptr) {
        return io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), submit, wait, flags, nullptr, 0);
    }
    __kernel_timespec limit{};
    limit.tv_sec = timeout->tv_sec;
    limit.tv_nsec = timeout->tv_nsec;
    io_uring_getevents_arg argument{};
    argument.sigmask_sz = _NSIG / 8;
    argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
    return io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), submit, wait, flags | IORING_ENTER_EXT_ARG,
                           reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

int ring::enter_from_outside(unsigned submit, bool flush) noexcept {
    unsigned flags = flush ? IORING_ENTER_GETEVENTS : 0U;
    if (sqpoll_) {  // the kernel's thread submits, unless it sleeps; it does not post what overflowed
        full_fence();  // the owner's tail, as far as we see it, before the look at the flags
        if ((load(ring_.sq.kflags) & IORING_SQ_NEED_WAKEUP) != 0) {
            flags |= IORING_ENTER_SQ_WAKEUP;
        } else if (flags == 0) {
            return 0;
        }
    }
    return io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), submit, 0, flags, nullptr, 0);
}

int ring::cancel_from_outside(std::uint64_t tag) noexcept {
    io_uring_sync_cancel_reg which{};
    which.addr = tag;
    which.fd = -1;
    return io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_SYNC_CANCEL, &which, 1);
}

}  // namespace magpie::detail
