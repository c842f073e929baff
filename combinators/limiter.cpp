#include <magpie/combinators/limiter.hpp>

#include <stdexcept>

namespace magpie {

namespace {

limit_config fixed(std::ptrdiff_t n) {
    if (n < 1 || n > semaphore::max()) {
        throw std::invalid_argument("a limiter needs a limit from 1 to semaphore::max()");
    }
    return {.kind = limit_kind::fixed, .initial = static_cast<unsigned>(n)};
}

}  // namespace

limiter::limiter(std::ptrdiff_t n) : control_(fixed(n)) {}

}  // namespace magpie
