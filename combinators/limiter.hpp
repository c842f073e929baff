#pragma once

#include <magpie/combinators/detail/limit_record.hpp>
#include <magpie/combinators/detail/semaphore_core.hpp>
#include <magpie/combinators/semaphore.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace magpie {

// How many operations of one kind may be in flight at once, for everybody who shares it: batches that take it as their
// limit, and tasks that acquire() a place themselves. First come, first served, as a semaphore; counts how they ended.
// All members from any thread, acquire() in tasks. Nobody may use it when it is destroyed.
class limiter {
public:
    // Throws std::invalid_argument if n < 1 or n > semaphore::max().
    explicit limiter(std::ptrdiff_t n);
    limiter(limiter const&) = delete;
    limiter& operator=(limiter const&) = delete;

    // `auto place = co_await l.acquire()`: waits for a free place, given back when the permit dies. As
    // semaphore::acquire().
    semaphore_acquire_awaitable acquire() noexcept { return {core_, 1}; }
    // An empty permit if there is none, or if somebody waits.
    permit try_acquire() noexcept { return core_.try_take(1) ? permit(core_, 1) : permit(); }
    // Gives back a place whose permit was forgotten. Throws std::logic_error if none is taken.
    void release() { core_.add(1); }

    // Changes the limit, from now on; if more are in flight than that, nobody starts until enough have ended. Throws
    // std::invalid_argument if n < 1 or n > semaphore::max().
    void resize(std::ptrdiff_t n);
    std::ptrdiff_t limit() const noexcept { return core_.limit(); }
    // Free places: a hint.
    std::ptrdiff_t available() const noexcept { return core_.available(); }
    std::size_t waiting() const noexcept { return core_.waiting(); }

    // An operation has ended: batch() tells for each attempt, other users as they like.
    void record(bool succeeded) noexcept { record_.add(succeeded); }
    std::uint64_t succeeded() const noexcept { return record_.succeeded(); }
    std::uint64_t failed() const noexcept { return record_.failed(); }

private:
    friend class limit_ref;

    detail::semaphore_core core_;
    detail::limit_record record_;
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
    limit_ref(limiter& shared) noexcept : shared_(&shared.core_), record_(&shared.record_) {}

    // The number, or the present limit of what it refers to.
    std::ptrdiff_t count() const noexcept { return shared_ == nullptr ? count_ : shared_->limit(); }

    // For the combinators; null for a number.
    detail::semaphore_core* shared() const noexcept { return shared_; }
    detail::limit_record* record() const noexcept { return record_; }

private:
    std::ptrdiff_t count_ = 0;
    detail::semaphore_core* shared_ = nullptr;
    detail::limit_record* record_ = nullptr;
};

} // namespace magpie
