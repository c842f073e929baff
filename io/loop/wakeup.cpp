#include <magpie/io/loop/wakeup.hpp>

#include <magpie/io/loop/ring.hpp>

#include <system_error>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace magpie::detail {

// Blocking, because io_uring gives a read of a non-blocking descriptor back at once instead of waiting for it.
wakeup::wakeup() : event_(::eventfd(0, EFD_CLOEXEC)) {
    if (!event_) {
        throw std::system_error(errno, std::system_category(), "eventfd, to wake an event loop with");
    }
}

void wakeup::use_ring(int descriptor) noexcept {
    ring_ = descriptor;
}

void wakeup::notify() noexcept {
    inject_point();
    if (state_.exchange(state::notified, mo_acq_rel) != state::sleeping) {
        return;
    }
    if (uses_ring() && ring::send_message(ring_) == 0) {
        return;
    }
    std::uint64_t const one = 1;
    while (::write(event_.get(), &one, sizeof one) < 0 && errno == EINTR) {}
}

}  // namespace magpie::detail
