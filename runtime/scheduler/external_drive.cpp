#include <magpie/runtime/scheduler/external_drive.hpp>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <system_error>

namespace magpie::detail {

namespace {

int checked(int fd, char const* what) {
    if (fd < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return fd;
}

void close_if_open(int fd) noexcept {
    if (fd >= 0) {
        ::close(fd);
    }
}

} // namespace

external_drive::external_drive(driver const& loop) {
    if (loop.wait_fd() < 0) {
        throw std::invalid_argument("this event loop cannot be driven from outside");
    }
    try {
        epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
        event_ = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
        timer_ = checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
        for (int const fd : {event_, timer_, loop.wait_fd()}) {
            epoll_event readable{.events = EPOLLIN, .data = {.fd = fd}};
            checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &readable), "epoll_ctl");
        }
    } catch (...) {
        close_if_open(timer_);
        close_if_open(event_);
        close_if_open(epoll_);
        throw;
    }
}

external_drive::~external_drive() {
    ::close(timer_);
    ::close(event_);
    ::close(epoll_);
}

void external_drive::signal() noexcept {
    // acq_rel: pairs with the exchange in clear(); who finds it set knows that a look is still to come.
    if (!signalled_.exchange(true, mo_acq_rel)) {
        std::uint64_t const one = 1;
        (void)!::write(event_, &one, sizeof one);
    }
}

void external_drive::clear() noexcept {
    if (signalled_.exchange(false, mo_acq_rel)) {
        std::uint64_t count = 0;
        (void)!::read(event_, &count, sizeof count);
    }
}

void external_drive::set_deadline(time_point when) noexcept {
    itimerspec spec{};
    if (when != time_point::max()) {
        auto const since_boot = std::max(when.time_since_epoch(), duration{1});  // 0 would disarm it
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
        spec.it_value.tv_sec = static_cast<time_t>(seconds.count());
        spec.it_value.tv_nsec = static_cast<long>((since_boot - seconds).count());
    }
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void external_drive::wait(duration at_most) const noexcept {
    auto const milliseconds = std::chrono::ceil<std::chrono::milliseconds>(at_most).count();
    pollfd readable{.fd = epoll_, .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, static_cast<int>(std::clamp<std::int64_t>(milliseconds, 0, 1000)));
}

} // namespace magpie::detail
