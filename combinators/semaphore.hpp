#pragma once

#include <magpie/combinators/detail/permit_waiter.hpp>
#include <magpie/combinators/detail/semaphore_core.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <string>
#include <utility>

namespace magpie {

class semaphore;

// Permits of a semaphore; its destructor gives them back. Move-only. Who waits next is queued, never run in here.
class [[nodiscard("the permit is given back at once if nobody keeps it")]] permit {
public:
    permit() noexcept = default;
    permit(permit&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    permit& operator=(permit&& other) noexcept {
        if (this != &other) {
            release();
            from_ = std::exchange(other.from_, nullptr);
            count_ = std::exchange(other.count_, 0);
        }
        return *this;
    }
    ~permit() { release(); }

    // False for an empty permit: try_acquire() failed, or it was moved from, released or forgotten.
    explicit operator bool() const noexcept { return from_ != nullptr; }
    std::size_t count() const noexcept { return count_; }
    // Gives it back now. Does nothing if the permit is empty.
    void release() noexcept {
        if (from_ != nullptr) {
            std::exchange(from_, nullptr)->give_back(std::exchange(count_, 0));
        }
    }
    // Keeps it taken: somebody calls semaphore::release() later, or nobody does.
    void forget() noexcept {
        from_ = nullptr;
        count_ = 0;
    }

private:
    friend semaphore;
    friend class semaphore_acquire_awaitable;
    friend class limiter;
    permit(detail::semaphore_core& from, std::size_t count) noexcept : from_(&from), count_(count) {}

    detail::semaphore_core* from_ = nullptr;
    std::size_t count_ = 0;
};

// What acquire() gives: awaiting it takes the permits, waiting for them if need be.
class [[nodiscard("co_await it")]] semaphore_acquire_awaitable {
    class awaiter final : public detail::semaphore_awaiter {
    public:
        using semaphore_awaiter::semaphore_awaiter;
        permit await_resume() {
            check();
            return permit(core(), wanted());
        }
    };

public:
    semaphore_acquire_awaitable(detail::semaphore_core& from, std::size_t count) noexcept
        : from_(&from), count_(count) {}
    awaiter operator co_await() const noexcept { return awaiter(*from_, count_); }

private:
    detail::semaphore_core* from_;
    std::size_t count_;
};

// A number of permits that tasks take and give back: at most that many are inside at once. Strictly first come, first
// served: while somebody waits nobody overtakes, also if fewer permits are wanted; n permits given back go to as many
// waiters as they suffice for. Usable from every worker; everything but acquire() from any thread. Nobody may wait for
// it, and no permit may be out, when it is destroyed.
class semaphore {
public:
    // The most permits a semaphore can have.
    static constexpr std::ptrdiff_t max() noexcept { return detail::semaphore_core::most; }

    // Throws std::invalid_argument if n < 0 or n > max(). With 0 nobody passes until release() or resize().
    explicit semaphore(std::ptrdiff_t n) : core_(n, detail::semaphore_core::bound::none) {}
    semaphore(semaphore const&) = delete;
    semaphore& operator=(semaphore const&) = delete;

    // `auto p = co_await s.acquire()`. Does not suspend if the permits are there and nobody waits. Cancelling leaves the
    // queue; a task whose permits were granted before the request came gets them, and the request stays pending.
    // Throws std::invalid_argument if k < 0 or k > max(). More than limit() permits: waits for a resize().
    semaphore_acquire_awaitable acquire(std::ptrdiff_t k = 1) {
        return {core_, detail::semaphore_core::checked(k)};
    }

    // An empty permit if there are too few, or if somebody waits.
    permit try_acquire(std::ptrdiff_t k = 1) {
        std::size_t const count = detail::semaphore_core::checked(k);
        return core_.try_take(count) ? permit(core_, count) : permit();
    }

    // Adds k permits, whether or not they were taken before. Throws std::invalid_argument if k < 0, std::logic_error
    // (and adds nothing) if there would be more than max(), or, for a bounded_semaphore, more than limit().
    void release(std::ptrdiff_t k = 1) { core_.add(detail::semaphore_core::checked(k)); }

    // Changes the number of permits to n, from now on: with more, waiters go on; with fewer than are out, nobody passes
    // until enough have come back. Throws std::invalid_argument if n < 0 or n > max().
    void resize(std::ptrdiff_t n) { core_.resize(n); }

    // The number of permits that the constructor, or the last resize(), set.
    std::ptrdiff_t limit() const noexcept { return core_.limit(); }
    // How many could be taken now; 0 while more are out than there are. A hint: it may change at once.
    std::ptrdiff_t available() const noexcept { return core_.available(); }
    // How many tasks wait. Takes as long as there are.
    std::size_t waiting() const noexcept { return core_.waiting(); }

    // For the combinators.
    detail::semaphore_core& core() noexcept { return core_; }

protected:
    explicit semaphore(std::ptrdiff_t n, detail::semaphore_core::bound b) : core_(n, b) {}

private:
    detail::semaphore_core core_;
};

// A semaphore that notices when more is given back than was taken: release() beyond limit() throws std::logic_error and
// changes nothing; of several surplus releases at once exactly those that are too many throw.
class bounded_semaphore : public semaphore {
public:
    explicit bounded_semaphore(std::ptrdiff_t n) : semaphore(n, detail::semaphore_core::bound::limit) {}
};

} // namespace magpie
