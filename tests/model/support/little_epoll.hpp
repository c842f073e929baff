#pragma once

// A kernel in little, for the loop over epoll: descriptors that become readable when arrive() says so and stay that way,
// one eventfd, and one epoll set, where descriptors are armed for one event at a time and the eventfd for as many as it is
// readable. Each system call is one step under a lock.

#include "../model.hpp"
#include "monitor.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <new>

#include <poll.h>
#include <sys/epoll.h>

namespace magpie::detail {

class little_epoll {
public:
    static constexpr int eventfd_descriptor = 31;
    static constexpr int epoll_descriptor = 30;

    static inline little_epoll* only = nullptr;

    // --- System calls.

    static int create() {
        only = new (&space_of_one) little_epoll;
        return epoll_descriptor;
    }
    static void close(int descriptor) noexcept {
        if (descriptor == epoll_descriptor) {
            only->~little_epoll();
            only = nullptr;
        }
    }
    int control(int descriptor) noexcept {
        model::monitor::section in(kernel_);
        if (descriptor != eventfd_descriptor) {
            armed_ |= 1U << descriptor;
            in.tell();
        }
        return 0;
    }
    int wait(epoll_event* events, int timeout) noexcept {
        model::monitor::section in(kernel_);
        if (timeout < 0) {
            in.wait_until([&] { return is_readable(); });
        }
        int count = 0;
        for (int fd = 0; fd < epoll_descriptor; ++fd) {
            if ((armed_ & arrived_ & (1U << fd)) != 0) {
                armed_ &= ~(1U << fd);
                events[count++] = event_for(fd);
            }
        }
        if (eventfd_ != 0) {
            events[count++] = event_for(-1);
        }
        return count;
    }
    int poll() noexcept {
        model::monitor::section const in(kernel_);
        return is_readable() ? 1 : 0;
    }
    void read_eventfd() noexcept {
        model::monitor::section const in(kernel_);
        MAGPIE_ASSERT(eventfd_ != 0);  // or it blocks
        eventfd_ = 0;
    }
    void write_eventfd() noexcept {
        model::monitor::section in(kernel_);
        ++eventfd_;
        in.tell();
    }
    int read(int descriptor, guarded<int>& buffer) noexcept {
        model::monitor::section const in(kernel_);
        if ((arrived_ & (1U << descriptor)) == 0) {
            return -EAGAIN;
        }
        buffer = buffer + 1;
        return 1;
    }

    // --- The world outside.

    void arrive(int descriptor) noexcept {
        model::monitor::section in(kernel_);
        arrived_ |= 1U << descriptor;
        in.tell();
    }
    void kick() noexcept {}
    void leave_cpu() noexcept {}
    void all_leave_cpu() noexcept {}

private:
    bool is_readable() const noexcept { return (armed_ & arrived_) != 0 || eventfd_ != 0; }
    static epoll_event event_for(int descriptor) noexcept {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = descriptor;
        return event;
    }

    model::monitor kernel_;
    unsigned armed_ = 0;
    unsigned arrived_ = 0;
    unsigned eventfd_ = 0;

    alignas(64) static unsigned char space_of_one[];
};

alignas(64) inline unsigned char little_epoll::space_of_one[sizeof(little_epoll)];

}  // namespace magpie::detail
