#include <magpie/io/loop/poll_loop.hpp>
#include <magpie/io/loop/poll_syscalls.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

namespace magpie::detail {

namespace {

constexpr int events_per_look = 128;
constexpr int wakeup_mark = -1;  // in place of a descriptor

op_base& op_of(completion& c) noexcept {
    return static_cast<op_base&>(c);
}

epoll_event event_for(std::uint32_t what, int fd) noexcept {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    return event;
}

}  // namespace

poll_loop::poll_loop(io_config const& settings)
    : event_loop(settings.buffer_ring), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event = event_for(EPOLLIN, wakeup_mark);
    if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.descriptor(), &event) != 0) {
        throw std::system_error(errno, std::system_category(), "epoll");
    }
}

// ---------------------------------------------------------------------------------------------- starting

bool poll_loop::start(op_base& op) noexcept {
    bool const others_first = budget_exhausted();  // may poll: not under the lock
    std::lock_guard const lock(lock_);
    if (op.refuse_if_due()) {
        return false;
    }
    int const result = others_first ? -EINPROGRESS : attempt(op);
    if (result == -EINPROGRESS || result == -EAGAIN || result == -ENOBUFS) {
        if (!op.suspend_task()) {
            return false;
        }
        wait(op, result);
        return true;
    }
    note_end();
    op.finish_early(result);
    return false;
}

int poll_loop::attempt(op_base& op) noexcept {
    if (op.wants_buffer()) {
        return attempt_with_buffer(op);
    }
    int result = -EINTR;
    for (unsigned left = op.may_repeat() ? op_base::most_interruptions + 1 : 1; result == -EINTR && left != 0; --left) {
        result = poll_syscall_for(op).attempt(op);
    }
    // Where the system says it in another way.
    return result == -EWOULDBLOCK ? -EAGAIN : result;
}

// The buffer is borrowed for the attempt, and kept only if something was received.
int poll_loop::attempt_with_buffer(op_base& op) noexcept {
    buffer_pool* const pool = required_buffers();
    if (pool == nullptr) {
        return -ENOMEM;
    }
    auto const id = pool->take();
    if (!id) {
        return -ENOBUFS;
    }
    io::request const asked = op.request();
    op.request().entry_flags = 0;
    op.request().address = reinterpret_cast<std::uintptr_t>(pool->at(*id).data());
    op.request().length = static_cast<std::uint32_t>(pool->size());
    int const result = attempt(op);
    // Not all of it: which operation it is, and on what, others may read meanwhile (describe()).
    op.request().entry_flags = asked.entry_flags;
    op.request().address = asked.address;
    op.request().length = asked.length;
    if (result > 0) {
        op.hold_buffer(*id);
    } else {
        pool->give_back(*id);
    }
    return result;
}

// `why` is what the attempt gave, or -EINPROGRESS if there was none.
void poll_loop::wait(op_base& op, int why) noexcept {
    if (why == -EINPROGRESS) {
        queue(op);
    } else if (why == -ENOBUFS) {
        wait_for_buffer(op);
    } else {
        wait_until_ready(op);
    }
}

void poll_loop::queue(op_base& op) noexcept {
    op.set_place(op_base::place::queued);
    queued_.push_back(&op);
    anything_queued_.store(true, mo_relaxed);
}

void poll_loop::wait_until_ready(op_base& op) noexcept {
    int const fd = op.request().fd;
    auto const index = static_cast<std::size_t>(fd);
    if (fd < 0) {
        finish(op, -EBADF);
        return;
    }
    try {
        if (index >= places_.size()) {
            places_.resize(std::max<std::size_t>(index + 1, 2 * places_.size()));
        }
    } catch (std::bad_alloc const&) {
        finish(op, -ENOMEM);
        return;
    }
    op_base::place const side = poll_syscall_for(op).side;
    place_to_wait& at = places_[index];
    (side == op_base::place::reading ? at.readers : at.writers).push_back(&op);
    note_waiting(+1);
    at.for_both += waits_for_both(op) ? 1 : 0;
    op.set_place(side);
    if (int const error = arm(fd); error != 0) {
        unlink(op);
        finish(op, error);
    }
}

// Asks for the next event that somebody waits for. A descriptor that was closed has left epoll by itself, so what we
// know of it may be wrong either way.
int poll_loop::arm(int fd) noexcept {
    place_to_wait& at = places_[static_cast<std::size_t>(fd)];
    bool const in = !at.readers.empty();
    bool const out = !at.writers.empty() || at.for_both != 0;
    std::uint32_t const what = (in ? std::uint32_t{EPOLLIN} | EPOLLRDHUP : 0) | (out ? std::uint32_t{EPOLLOUT} : 0);
    if (what == 0) {
        return 0;
    }
    epoll_event event = event_for(what | EPOLLONESHOT, fd);
    int const first = at.is_registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int const second = at.is_registered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    at.is_registered = true;
    if (::epoll_ctl(epoll_.get(), first, fd, &event) == 0) {
        return 0;
    }
    if ((errno == ENOENT || errno == EEXIST) && ::epoll_ctl(epoll_.get(), second, fd, &event) == 0) {
        return 0;
    }
    at.is_registered = false;
    return -errno;
}

// ---------------------------------------------------------------------------------------------- ending

void poll_loop::finish(op_base& op, int result) noexcept {
    note_end();
    op.finish(result);
}

// From event_loop: the op is about to be ended as cancelled. A descriptor that nobody waits for any more stays armed,
// for one event that will find nobody.
void poll_loop::unlink(op_base& op) noexcept {
    if (op.where() == op_base::place::queued) {
        queued_.erase(&op);
        anything_queued_.store(!queued_.empty(), mo_relaxed);
        return;
    }
    place_to_wait& at = places_[static_cast<std::size_t>(op.request().fd)];
    (op.where() == op_base::place::reading ? at.readers : at.writers).erase(&op);
    note_waiting(-1);
    at.for_both -= waits_for_both(op) ? 1 : 0;
}

// Never called: no operation is ever in the kernel.
void poll_loop::cancel_in_kernel(op_base&) noexcept {
    MAGPIE_ASSERT(false);
}

void poll_loop::restart(op_base& op) noexcept {
    int const result = attempt(op);
    if (result == -EAGAIN || result == -ENOBUFS) {
        wait(op, result);
    } else {
        finish(op, result);
    }
}

void poll_loop::try_queued() noexcept {
    completion_list now;
    now.append(queued_);
    anything_queued_.store(false, mo_relaxed);
    while (completion* const c = now.pop_front()) {
        restart(op_of(*c));
    }
}

void poll_loop::try_waiting(completion_list& waiting) noexcept {
    while (completion* const c = waiting.front()) {
        op_base& op = op_of(*c);
        int const result = attempt(op);
        if (result == -EAGAIN) {
            return;
        }
        unlink(op);
        if (result == -ENOBUFS) {
            wait_for_buffer(op);
        } else {
            finish(op, result);
        }
    }
}

void poll_loop::on_ready(int fd) noexcept {
    place_to_wait& at = places_[static_cast<std::size_t>(fd)];
    try_waiting(at.readers);
    try_waiting(at.writers);
    if (int const error = arm(fd); error != 0) {
        while (completion* const c = at.readers.empty() ? at.writers.front() : at.readers.front()) {
            unlink(op_of(*c));
            finish(op_of(*c), error);
        }
    }
}

// ---------------------------------------------------------------------------------------------- the loop

void poll_loop::poll() {
    begin_poll();
    {
        std::lock_guard const lock(lock_);
        round();
        eat_wakeup();
    }
    end_poll();
}

void poll_loop::round() noexcept {
    take_in_messages();
    try_queued();
    epoll_event events[events_per_look];
    take_in(wait_for_events(time_point::min(), events), events);
}

void poll_loop::park(time_point deadline) {
    bool may_sleep = false;
    begin_poll();
    {
        std::lock_guard const lock(lock_);
        take_in_messages();
        try_queued();
        may_sleep = wakeup_.prepare_sleep();
        owner_sleeps_ = true;
    }
    // The one more look of wakeup.hpp: a buffer may have come back without a notification.
    epoll_event events[events_per_look];
    int const count = wait_for_events(may_sleep && !has_messages() ? deadline : time_point::min(), events);
    if (may_sleep) {
        wakeup_.end_sleep();
    }
    {
        std::lock_guard const lock(lock_);
        owner_sleeps_ = false;
        take_in(count, events);
        take_in_messages();
        eat_wakeup();
    }
    end_poll();
}

// The owner alone reads the eventfd: of two readers one would block.
void poll_loop::eat_wakeup() noexcept {
    if (std::exchange(wake_pending_, false)) {
        std::uint64_t value = 0;
        (void)!::read(wakeup_.descriptor(), &value, sizeof value);  // it is readable: does not block
    }
}

std::size_t poll_loop::take_over() noexcept {
    std::unique_lock const lock(lock_, std::try_to_lock);
    if (!lock.owns_lock() || owner_sleeps_) {
        return 0;
    }
    std::uint64_t const before = completions();
    round();
    return static_cast<std::size_t>(completions() - before);
}

bool poll_loop::is_stranded() const noexcept {
    pollfd ready{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
    return has_work() || ::poll(&ready, 1, 0) > 0;
}

// Waits for events until the deadline (min: not at all; max: for ever). Their number, or less than zero: none.
int poll_loop::wait_for_events(time_point deadline, epoll_event* events) noexcept {
    bool const for_ever = deadline == time_point::max();
    duration left{};
    if (!for_ever && deadline != time_point::min()) {
        left = std::max(duration{}, duration(deadline - std::chrono::steady_clock::now()));
    }
    if (has_nanosecond_wait_.load(mo_relaxed) && !for_ever && left != duration{}) {
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        timespec const limit{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
        int const count = ::epoll_pwait2(epoll_.get(), events, events_per_look, &limit, nullptr);
        if (count >= 0 || errno == EINTR) {
            return count;
        }
        has_nanosecond_wait_.store(false, mo_relaxed);  // an older kernel, or a filter that does not know the call
    }
    // Rounded up: not a moment before the deadline.
    auto const milliseconds = std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(),
                                                     std::numeric_limits<int>::max());
    return ::epoll_wait(epoll_.get(), events, events_per_look, for_ever ? -1 : static_cast<int>(milliseconds));
}

void poll_loop::take_in(int count, epoll_event const* events) noexcept {
    for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == wakeup_mark) {
            wake_pending_ = true;
        } else {
            on_ready(events[i].data.fd);
        }
    }
}

buffer_pool_ptr poll_loop::make_buffers(buffer_ring_config const& sizes) {
    return buffer_pool_ptr(new buffer_pool(sizes, wakeup_));
}

}  // namespace magpie::detail
