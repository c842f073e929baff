#include <magpie/io/fd.hpp>

#include <errno.h>
#include <unistd.h>

namespace magpie::io {

// EINTR from close() means on Linux that the descriptor is gone all the same, so it is not tried again.
void fd::close_quietly(int descriptor) noexcept {
    int const saved = errno;
    ::close(descriptor);
    errno = saved;
}

}  // namespace magpie::io
