#include <magpie/combinators/rate_limiter.hpp>

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/sleep.hpp>

#include <cmath>
#include <stdexcept>

namespace magpie {

namespace {

double positive_rate(double per_second) {
    if (!std::isfinite(per_second) || per_second <= 0) {
        throw std::invalid_argument("a rate must be positive and finite");
    }
    return per_second;
}

} // namespace

rate_limiter::rate_limiter(double per_second, std::size_t burst)
    : per_second_(positive_rate(per_second)), bucket_(per_second, burst) {
    if (burst == 0) {
        throw std::invalid_argument("a rate limiter needs a burst of 1 or more");
    }
}

void rate_limiter::check(std::size_t n) const {
    if (n > burst()) {
        throw std::invalid_argument("more tokens were asked for than a rate limiter's burst");
    }
}

task<> rate_limiter::acquire(std::size_t n) {
    check(n);
    return take_in_turn(n);
}

task<> rate_limiter::take_in_turn(std::size_t n) {
    auto const turn = co_await turn_.lock();
    time_point const due = bucket_.due(n, now());
    if (due > now()) {
        co_await sleep_until(due);  // only who holds the turn takes tokens: they are there then
    }
    bucket_.take(n);
}

bool rate_limiter::try_acquire(std::size_t n) {
    check(n);
    auto const turn = turn_.try_lock();
    if (!turn) {
        return false;
    }
    time_point const start = now();
    if (bucket_.due(n, start) > start) {
        return false;
    }
    bucket_.take(n);
    return true;
}

std::size_t rate_limiter::waiting() const noexcept {
    return turn_.waiting() + (turn_.locked() ? 1 : 0);
}

} // namespace magpie
