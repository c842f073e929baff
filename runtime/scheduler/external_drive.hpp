#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/driver.hpp>

namespace magpie::detail {

// Makes a worker without a thread of its own fit into somebody else's event loop: one descriptor that is readable when
// the worker has something to do. It is an epoll descriptor over three: the driver's own, a timer, and an event for
// what other threads queue and for work that a bounded run left over.
class external_drive {
public:
    // Throws std::system_error; std::invalid_argument if the driver has no descriptor.
    explicit external_drive(driver const& loop);
    external_drive(external_drive const&) = delete;
    external_drive& operator=(external_drive const&) = delete;
    ~external_drive();

    int fd() const noexcept { return epoll_; }

    // There is something to do now. Any thread; a system call only for the first of many.
    void signal() noexcept;
    // The worker is about to look: what was signalled so far will be seen. Its thread.
    void clear() noexcept;
    // Readable at this point in time (time_point::max(): never). Its thread.
    void set_deadline(time_point when) noexcept;
    // Blocks until readable or until the timeout.
    void wait(duration at_most) const noexcept;

private:
    int epoll_ = -1;
    int event_ = -1;
    int timer_ = -1;
    atomic<bool> signalled_{false};
};

} // namespace magpie::detail
