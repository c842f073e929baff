#pragma once

// What a limiter is made of: the places, the counts, and, of an adaptive one, the algorithm that says how many places
// there are.
//
// Whoever records an operation feeds the algorithm under lock_. If the limit it wants has changed, the semaphore must be
// resized, which wakes others and so is not done under a lock; and of two changes the later one must stay. So wanted_ is
// written under the lock, and one thread at a time carries it over to the places (apply()): it looks again as long as
// others have come meanwhile.
//
// An operation whose latency nobody measured cannot tell when it began. After a decrease as many of these are ignored as
// were in flight then, so that one burst of errors is one decrease also here.

#include <magpie/combinators/detail/aimd_limit.hpp>
#include <magpie/combinators/detail/gradient_limit.hpp>
#include <magpie/combinators/detail/limit_sample.hpp>
#include <magpie/combinators/detail/semaphore_core.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>

#include <cstddef>
#include <cstdint>
#include <variant>

namespace magpie::detail {

// Any thread.
class limit_control {
public:
    // Throws std::invalid_argument if the settings contradict each other or no limiter can be so large.
    explicit limit_control(limit_config const& settings);
    limit_control(limit_control const&) = delete;
    limit_control& operator=(limit_control const&) = delete;

    semaphore_core& places() noexcept { return places_; }
    semaphore_core const& places() const noexcept { return places_; }

    // Somebody wants to know the latency of the operations.
    bool measures() const noexcept { return measures_.load(mo_relaxed); }
    // To be asked when an operation has got its place.
    semaphore_core::usage in_use() const noexcept { return places_.in_use(); }

    // An operation has ended. The latency is not negative.
    void record(bool succeeded, time_point began, duration latency, semaphore_core::usage at_begin) noexcept;
    void record_untimed(bool succeeded) noexcept;
    // Only counts it.
    void note(bool succeeded) noexcept { count(succeeded); }

    std::uint64_t succeeded() const noexcept { return succeeded_.load(mo_relaxed); }
    std::uint64_t failed() const noexcept { return failed_.load(mo_relaxed); }

    // Throws std::invalid_argument if n < 1 or n > semaphore_core::most.
    void resize(std::ptrdiff_t n);
    // As the constructor; throws and changes nothing.
    void configure(limit_config const& settings);
    limit_kind kind() const noexcept;

private:
    struct fixed_limit {};
    using algorithm = std::variant<fixed_limit, aimd_limit, gradient_limit>;

    static limit_config const& checked(limit_config const& settings);
    static algorithm algorithm_of(limit_config const& settings) noexcept;
    void count(bool succeeded) noexcept { (succeeded ? succeeded_ : failed_).fetch_add(1, mo_relaxed); }
    void feed(limit_sample const& sample) noexcept;
    // Under the lock. True: apply().
    bool want(std::size_t limit) noexcept;
    void apply() noexcept;

    semaphore_core places_;
    atomic<std::uint64_t> succeeded_{0};
    atomic<std::uint64_t> failed_{0};
    atomic<bool> measures_;
    mutable spin_lock lock_;
    algorithm algorithm_;
    std::size_t untimed_to_ignore_ = 0;
    atomic<std::size_t> wanted_;
    atomic<unsigned> appliers_{0};
};

}  // namespace magpie::detail
