#include <magpie/io/loop/make_loop.hpp>
#include <magpie/io/loop/poll_loop.hpp>
#include <magpie/io/loop/refusal.hpp>
#include <magpie/io/loop/uring_loop.hpp>
#include <magpie/runtime/detail/atomic.hpp>

#include <cstdio>
#include <string>
#include <system_error>

#include <errno.h>

namespace magpie::io {

namespace {

// Without descriptors there is no other loop either, and the error is the user's to see.
bool poll_loop_may_help(int error) noexcept {
    return error != EMFILE && error != ENFILE;
}

void say_once(detail::refusal const& why) noexcept {
    static detail::atomic<bool> said{false};
    if (!said.exchange(true, detail::mo_relaxed)) {
        std::fprintf(stderr, "magpie: io_uring is not used, because %s; %s. Going on with the poll backend (epoll).\n",
                     why.cause.c_str(), why.remedy.c_str());
    }
}

}  // namespace

std::unique_ptr<driver> make_loop(config const& settings, unsigned /*index*/) {
    if (settings.io.backend == io_backend::poll) {
        return std::make_unique<detail::poll_loop>(settings.io);
    }
    try {
        return std::make_unique<detail::uring_loop>(settings.io);
    } catch (std::system_error const& error) {
        detail::refusal const why = detail::explain_refusal(error.code().value());
        if (settings.io.backend == io_backend::io_uring || !poll_loop_may_help(error.code().value())) {
            throw std::system_error(error.code(), "io_uring cannot be used, because " + why.cause + "; " + why.remedy);
        }
        say_once(why);
    }
    return std::make_unique<detail::poll_loop>(settings.io);
}

}  // namespace magpie::io
