#pragma once

// What semaphore, bounded_semaphore and limiter are made of.
//
//   the word:  | limit 31 | available 31, signed | waiting 1 | lock 1 |
//
//   available  permits that can be taken; below 0 after a resize() to fewer than are out.
//   waiting    the list is not empty. While it is set the word changes only under the lock: no fast path overtakes.
//
//   take    not waiting and available >= k  ->  available - k         one compare-exchange
//           (a task that has used up its turn goes to the back of its worker's queue before, and not with the permits:
//           everybody else would have to queue up behind it)
//           else: under the lock, linked at the back, waiting set
//   give    not waiting                     ->  available + k         one compare-exchange
//           else: under the lock, available + k, then waiters are taken off the front as long as what the first one
//           wants is there; they are told after the lock was let go
//   resize  under the lock; limit changes, and available by the same amount; then as give
//   cancel  under the lock, unlinked; then as give: the next may want less
//
// A waiter that is off the list has its permits: it was granted, whatever request comes later.

#include <magpie/combinators/detail/locked_word.hpp>
#include <magpie/combinators/detail/permit_waiter.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>

namespace magpie::detail {

class semaphore_core {
public:
    static constexpr std::ptrdiff_t most = (std::ptrdiff_t{1} << 30) - 1;
    enum class bound : bool { none, limit };

    semaphore_core(std::ptrdiff_t n, bound b);
    ~semaphore_core();

    // A count as the user gave it. Throws std::invalid_argument unless 0 <= k <= most.
    static std::size_t checked(std::ptrdiff_t k) {
        if (k < 0 || k > most) [[unlikely]] {
            throw_bad_count();
        }
        return static_cast<std::size_t>(k);
    }

    bool try_take(std::size_t k) noexcept {
        word seen = word_.load();
        if (!can_take(seen, k)) {
            return false;
        }
        return word_.try_change(seen, with_less(seen, k)) || try_take_contended(k);
    }
    // A hint: try_take() would give true.
    bool could_take(std::size_t k) const noexcept { return can_take(word_.load(), k); }
    // As release(): throws std::logic_error if there would be too many.
    void add(std::size_t k);
    // As release(), of permits that were taken.
    void give_back(std::size_t k) noexcept {
        word seen = word_.load();
        if ((seen & (waiting_bit | locked_word::lock_bit)) != 0 || !word_.try_change(seen, with_more(seen, k)))
            [[unlikely]] {
            give_back_contended(k);
        }
    }
    void resize(std::ptrdiff_t n);

    enum class wait_result : std::uint8_t { taken, waiting, refused };
    // Takes the permits, or links the waiter. If a task is given, the wait is published as where it waits, as one step
    // for a canceller; `refused`: a request is pending for it.
    wait_result take_or_wait(permit_waiter& by, waiter* task) noexcept;
    // Unlinks it. False: it was granted, or is being.
    bool withdraw(permit_waiter& by) noexcept;

    // Batches that hold permits on behalf of their items make themselves known, so that a batch inside an item can see
    // that it waits for its own outside.
    void add_user(permit_user& user) noexcept;
    void remove_user(permit_user& user) noexcept;
    // True if the task, or one that waits for it, is an item of such a batch.
    bool held_around(task_context const& task) const noexcept;

    std::ptrdiff_t limit() const noexcept { return static_cast<std::ptrdiff_t>(word_.load() >> limit_shift); }
    std::ptrdiff_t available() const noexcept {
        std::ptrdiff_t const count = available_in(word_.load());
        return count < 0 ? 0 : count;
    }
    std::size_t waiting() const noexcept;
    // How many permits are out, and whether that is all, or somebody waits for more.
    struct usage {
        std::size_t taken = 0;
        bool full = false;
    };
    usage in_use() const noexcept {
        word const w = word_.load();
        std::ptrdiff_t const taken = static_cast<std::ptrdiff_t>(w >> limit_shift) - available_in(w);
        return {.taken = taken < 0 ? 0 : static_cast<std::size_t>(taken),
                .full = available_in(w) <= 0 || (w & waiting_bit) != 0};
    }

private:
    using word = locked_word::value_type;
    using waiters = intrusive_list<permit_waiter, &permit_waiter::hook>;
    using granted_list = intrusive_queue<permit_waiter>;
    using users = intrusive_list<permit_user, &permit_user::hook>;

    static constexpr word waiting_bit = 2;
    static constexpr unsigned available_shift = 2;
    static constexpr unsigned limit_shift = 33;
    static constexpr word available_mask = ((word{1} << (limit_shift - available_shift)) - 1) << available_shift;

    static std::ptrdiff_t signed_of(std::size_t k) noexcept { return static_cast<std::ptrdiff_t>(k); }
    static std::ptrdiff_t available_in(word w) noexcept {
        // Up to the sign bit and down again.
        return static_cast<std::ptrdiff_t>(static_cast<std::int64_t>(w << (64 - limit_shift)) >>
                                           (64 - limit_shift + available_shift));
    }
    static word with_available(word w, std::ptrdiff_t count) noexcept {
        return (w & ~available_mask) | ((static_cast<word>(count) << available_shift) & available_mask);
    }
    static word with_less(word w, std::size_t k) noexcept {
        return with_available(w, available_in(w) - signed_of(k));
    }
    static word with_more(word w, std::size_t k) noexcept {
        return with_available(w, available_in(w) + signed_of(k));
    }
    static word first_word(std::ptrdiff_t n);
    [[noreturn]] static void throw_bad_count();

    static bool can_take(word w, std::size_t k) noexcept {
        return (w & (waiting_bit | locked_word::lock_bit)) == 0 && available_in(w) >= signed_of(k);
    }
    bool fits(word w, std::size_t k) const noexcept;
    // Another thread was faster, or holds the lock. They leave it the word for a while (backoff.hpp).
    bool try_take_contended(std::size_t k) noexcept;
    void give_back_contended(std::size_t k) noexcept;
    // Under the lock: takes waiters off the list as long as the permits last, then unlocks and tells them.
    void grant_and_unlock(word w) noexcept;

    mutable locked_word word_;
    waiters waiters_;
    users users_;
    bound bound_;
};

// Waits for permits in a task.
class semaphore_awaiter : public waiter, public permit_waiter {
public:
    semaphore_awaiter(semaphore_core& from, std::size_t count) noexcept : permit_waiter(count), core_(&from) {}

    bool await_ready() noexcept {
        if (!core_->could_take(wanted())) {
            return false;
        }
        gives_way_ = budget_exhausted();
        return !gives_way_ && core_->try_take(wanted());
    }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        return wait();
    }
    std::string describe() const final { return "semaphore"; }

protected:
    // Throws if the wait was cancelled.
    void check() const;
    semaphore_core& core() const noexcept { return *core_; }

private:
    // Runs in the awaiter's place when its turn comes again.
    class later;

    // True: the task is suspended. False: it has its permits, or a request is pending.
    bool wait() noexcept;
    // The same, without giving way first.
    bool take_or_suspend() noexcept;
    bool give_way() noexcept;
    bool try_cancel() noexcept final { return core_->withdraw(*this); }
    void granted() noexcept final { wake(); }

    semaphore_core* core_;
    bool gives_way_ = false;  // there were permits, but its turn was over
};

} // namespace magpie::detail
