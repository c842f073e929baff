#pragma once

#include <magpie/combinators/detail/limit_control.hpp>
#include <magpie/combinators/detail/semaphore_core.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/config.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace magpie {

// How many operations of one kind may be in flight at once, for everybody who shares it: batches that take it as their
// limit, and tasks that acquire() a place themselves. First come, first served, as a semaphore; counts how they ended.
// All members from any thread, acquire() in tasks. Nobody may use it when it is destroyed.
//
// The limit is a number, or adapts to what the other side can do, from the latency and the failures of the operations:
//
//   limit_kind::aimd      +1 after each round trip without congestion, x 0.9, at most once in a round trip, when an
//                         operation fails or more than a tenth of them take longer than `target`
//   limit_kind::gradient  as far as the latency stays near that of an unloaded server, which it finds out by halving the
//                         limit for a moment now and then; failures count as work not done
//
// always within min and max, and it grows only while it is in use. (How, and after whom: detail/aimd_limit.hpp,
// detail/gradient_limit.hpp.) It learns from what is recorded: batch() and its like record each attempt, without the
// pauses between attempts; who acquires places records by himself, and an adaptive limit of which nobody records anything
// stays where it began. An attempt that was cancelled counts neither as success nor as failure.
class limiter {
public:
    // A fixed limit. Throws std::invalid_argument if n < 1 or n > semaphore::max().
    explicit limiter(std::ptrdiff_t n);
    // Throws std::invalid_argument if not 1 <= min <= initial <= max <= semaphore::max() (of a fixed one only `initial`
    // counts), or if the target is negative.
    explicit limiter(limit_config const& settings) : control_(settings) {}
    limiter(limiter const&) = delete;
    limiter& operator=(limiter const&) = delete;

    // `auto place = co_await l.acquire()`: waits for a free place, given back when the permit dies. As
    // semaphore::acquire().
    semaphore_acquire_awaitable acquire() noexcept { return {control_.places(), 1}; }
    // An empty permit if there is none, or if somebody waits.
    permit try_acquire() noexcept { return control_.places().try_take(1) ? permit(control_.places(), 1) : permit(); }
    // Gives back a place whose permit was forgotten. Throws std::logic_error if none is taken.
    void release() { control_.places().add(1); }

    // Changes the limit, from now on; if more are in flight than that, nobody starts until enough have ended. An adaptive
    // one goes as near to it as min and max allow, and adapts on from there. Throws std::invalid_argument if n < 1 or
    // n > semaphore::max().
    void resize(std::ptrdiff_t n) { control_.resize(n); }
    // Changes what it was made with, as resize() does. A fixed limit goes to `initial`, and so does one whose kind changes;
    // an adaptive one keeps what it has learnt, within the new bounds. Throws as the constructor, and changes nothing then.
    void configure(limit_config const& settings) { control_.configure(settings); }

    limit_kind kind() const noexcept { return control_.kind(); }
    // The present limit.
    std::ptrdiff_t limit() const noexcept { return control_.places().limit(); }
    // Free places: a hint.
    std::ptrdiff_t available() const noexcept { return control_.places().available(); }
    // Places that are taken: a hint. More than the limit after a change to less.
    std::size_t in_flight() const noexcept { return control_.places().in_use().taken; }
    std::size_t waiting() const noexcept { return control_.places().waiting(); }

    // An operation has ended, `latency` after it began: to be told by who acquires places himself, while the place is
    // still held, and for each attempt of its own.
    //
    //     auto const place = co_await upstream.acquire();
    //     time_point const began = now();
    //     bool const good = co_await call();
    //     upstream.record(good, now() - began);
    void record(bool succeeded, duration latency) noexcept {
        duration const took = latency > duration::zero() ? latency : duration::zero();
        control_.record(succeeded, now() - took, took, control_.in_use());
    }
    // The same without a latency: only failures, and how much of the limit is in use, count then.
    void record(bool succeeded) noexcept { control_.record_untimed(succeeded); }
    std::uint64_t succeeded() const noexcept { return control_.succeeded(); }
    std::uint64_t failed() const noexcept { return control_.failed(); }

private:
    friend class limit_ref;

    detail::limit_control control_;
};

// What a batch is limited by: a number of its own, or a semaphore or limiter that it shares with others, which must
// outlive the batch. Converts from each.
class limit_ref {
public:
    template <std::integral N>
        requires(!std::same_as<N, bool>)
    constexpr limit_ref(N n) noexcept
        : count_(std::in_range<std::ptrdiff_t>(n) ? static_cast<std::ptrdiff_t>(n)
                                                  : std::numeric_limits<std::ptrdiff_t>::max()) {}
    limit_ref(semaphore& shared) noexcept : shared_(&shared.core()) {}
    limit_ref(limiter& shared) noexcept : shared_(&shared.control_.places()), control_(&shared.control_) {}

    // The number, or the present limit of what it refers to.
    std::ptrdiff_t count() const noexcept { return shared_ == nullptr ? count_ : shared_->limit(); }

    // For the combinators; null for a number, and the second also for a semaphore.
    detail::semaphore_core* shared() const noexcept { return shared_; }
    detail::limit_control* control() const noexcept { return control_; }

private:
    std::ptrdiff_t count_ = 0;
    detail::semaphore_core* shared_ = nullptr;
    detail::limit_control* control_ = nullptr;
};

}  // namespace magpie
