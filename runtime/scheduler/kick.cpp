#include <magpie/runtime/detail/kick.hpp>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace magpie::detail {

namespace {

bool membarrier(int command) noexcept {
    return ::syscall(__NR_membarrier, command, 0U, 0) == 0;
}

}  // namespace

bool can_kick() noexcept {
    static bool const registered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    return registered;
}

bool kick() noexcept {
    return can_kick() && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

}  // namespace magpie::detail
