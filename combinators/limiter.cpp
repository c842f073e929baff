#include <magpie/combinators/limiter.hpp>

#include <stdexcept>

namespace magpie {

namespace {

std::ptrdiff_t at_least_one(std::ptrdiff_t n) {
    if (n < 1) {
        throw std::invalid_argument("a limiter needs a limit of 1 or more");
    }
    return n;
}

} // namespace

limiter::limiter(std::ptrdiff_t n) : core_(at_least_one(n), detail::semaphore_core::bound::limit) {}

void limiter::resize(std::ptrdiff_t n) {
    core_.resize(at_least_one(n));
}

} // namespace magpie
