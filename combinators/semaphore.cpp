#include <magpie/combinators/semaphore.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/backoff.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>

#include <coroutine>
#include <new>
#include <stdexcept>

namespace magpie::detail {

semaphore_core::semaphore_core(std::ptrdiff_t n, bound b) : word_(first_word(n)), bound_(b) {}

semaphore_core::~semaphore_core() {
    MAGPIE_ASSERT(waiters_.empty());
}

semaphore_core::word semaphore_core::first_word(std::ptrdiff_t n) {
    auto const count = static_cast<word>(checked(n));
    return (count << limit_shift) | (count << available_shift);
}

void semaphore_core::throw_bad_count() {
    throw std::invalid_argument("a number of permits must be from 0 to semaphore::max()");
}

bool semaphore_core::fits(word w, std::size_t k) const noexcept {
    std::ptrdiff_t const upper = bound_ == bound::limit ? static_cast<std::ptrdiff_t>(w >> limit_shift) : most;
    return available_in(w) + signed_of(k) <= upper;
}

void semaphore_core::add(std::size_t k) {
    word const seen = word_.lock();
    if (!fits(seen, k)) {
        word_.unlock(seen);
        throw std::logic_error("more permits were released than the semaphore can have");
    }
    grant_and_unlock(with_more(seen, k));
}

bool semaphore_core::try_take_contended(std::size_t k) noexcept {
    backoff waiting(backoff::longest);
    word seen = 0;
    do {
        waiting.wait();
        seen = word_.load();
        if ((seen & waiting_bit) != 0 || available_in(seen) < signed_of(k)) {
            return false;
        }
        seen &= ~locked_word::lock_bit;
    } while (!word_.try_change(seen, with_less(seen, k)));
    return true;
}

void semaphore_core::give_back_contended(std::size_t k) noexcept {
    backoff waiting(backoff::longest);
    word seen = word_.load();
    while ((seen & waiting_bit) == 0) {
        waiting.wait();
        seen = word_.load() & ~locked_word::lock_bit;
        if ((seen & waiting_bit) == 0 && word_.try_change(seen, with_more(seen, k))) {
            return;
        }
    }
    grant_and_unlock(with_more(word_.lock(), k));
}

void semaphore_core::resize(std::ptrdiff_t n) {
    auto const wanted = static_cast<word>(checked(n));
    word const seen = word_.lock();
    auto const before = static_cast<std::ptrdiff_t>(seen >> limit_shift);
    std::ptrdiff_t const count = available_in(seen) + (n - before);
    if (count > most) {  // many were released beyond the limit
        word_.unlock(seen);
        throw std::logic_error("resize() would give the semaphore more than max() permits");
    }
    word const resized = (seen & ((word{1} << limit_shift) - 1)) | (wanted << limit_shift);
    grant_and_unlock(with_available(resized, count));
}

void semaphore_core::grant_and_unlock(word w) noexcept {
    granted_list granted;
    while (permit_waiter* const first = waiters_.front()) {
        if (signed_of(first->wanted()) > available_in(w)) {
            break;
        }
        w = with_less(w, first->wanted());
        waiters_.erase(first);
        granted.push_back(first);
    }
    word_.unlock(waiters_.empty() ? w & ~waiting_bit : w | waiting_bit);
    while (permit_waiter* const each = granted.pop_front()) {
        each->granted();
    }
}

semaphore_core::wait_result semaphore_core::take_or_wait(permit_waiter& by, waiter* task) noexcept {
    word const seen = word_.lock();
    if ((seen & waiting_bit) == 0 && available_in(seen) >= signed_of(by.wanted())) {
        word_.unlock(with_less(seen, by.wanted()));
        return wait_result::taken;
    }
    if (task != nullptr && !task->context->suspend(*task)) {
        word_.unlock(seen);
        return wait_result::refused;
    }
    waiters_.push_back(&by);
    word_.unlock(seen | waiting_bit);
    return wait_result::waiting;
}

bool semaphore_core::withdraw(permit_waiter& by) noexcept {
    word const seen = word_.lock();
    if (!waiters::linked(&by)) {
        word_.unlock(seen);
        return false;
    }
    waiters_.erase(&by);
    grant_and_unlock(seen);
    return true;
}

void semaphore_core::add_user(permit_user& user) noexcept {
    word const seen = word_.lock();
    users_.push_back(&user);
    word_.unlock(seen);
}

void semaphore_core::remove_user(permit_user& user) noexcept {
    word const seen = word_.lock();
    users_.erase(&user);
    word_.unlock(seen);
}

// Those who wait for the task are suspended as long as it runs, so that their records stay.
bool semaphore_core::held_around(task_context const& task) const noexcept {
    word const seen = word_.lock();
    bool held = false;
    for (auto* user = users_.front(); user != nullptr && !held; user = users_.next(user)) {
        for (task_context const* each = &task; each != nullptr && !held; each = each->parent) {
            held = user->runs(*each);
        }
    }
    word_.unlock(seen);
    return held;
}

std::size_t semaphore_core::waiting() const noexcept {
    word const seen = word_.lock();
    std::size_t count = 0;
    for (auto* each = waiters_.front(); each != nullptr; each = waiters_.next(each)) {
        ++count;
    }
    word_.unlock(seen);
    return count;
}

// ---------------------------------------------------------------------------------------------- waiting in a task

// A coroutine without a body, queued as if it were the task: all it does is to end, and at its end the task takes its
// permits and goes on, or begins to wait.
class semaphore_awaiter::later {
public:
    class promise_type {
    public:
        explicit promise_type(semaphore_awaiter& of) noexcept : of_(&of), task_(of.handle) {}

        static void* operator new(std::size_t size) noexcept {
            try {
                return allocate_frame(size);
            } catch (std::bad_alloc const&) {
                return nullptr;
            }
        }
        static void operator delete(void* frame, std::size_t size) noexcept { deallocate_frame(frame, size); }
        static later get_return_object_on_allocation_failure() noexcept { return later({}); }

        later get_return_object() noexcept { return later(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        struct go_on {
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                semaphore_awaiter& of = *self.promise().of_;
                std::coroutine_handle<> const task = self.promise().task_;
                self.destroy();
                of.handle = task;
                return of.take_or_suspend() ? std::noop_coroutine() : task;
            }
            void await_resume() const noexcept {}
        };
        go_on final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept {}

    private:
        semaphore_awaiter* of_;
        std::coroutine_handle<> task_;
    };

    static later make(semaphore_awaiter&) { co_return; }
    std::coroutine_handle<> handle() const noexcept { return handle_; }

private:
    explicit later(std::coroutine_handle<> handle) noexcept : handle_(handle) {}
    std::coroutine_handle<> handle_;
};

bool semaphore_awaiter::give_way() noexcept {
    std::coroutine_handle<> const next = later::make(*this).handle();
    if (!next) {
        return false;  // no memory: it goes on at once
    }
    handle = next;
    schedule_yield(*this);
    return true;
}

bool semaphore_awaiter::wait() noexcept {
    return (gives_way_ && give_way()) || take_or_suspend();
}

bool semaphore_awaiter::take_or_suspend() noexcept {
    switch (core_->take_or_wait(*this, this)) {
    case semaphore_core::wait_result::taken: return false;
    case semaphore_core::wait_result::waiting: return true;
    case semaphore_core::wait_result::refused: cancelled_ = true; return false;
    }
    return false;
}

void semaphore_awaiter::check() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
}

} // namespace magpie::detail
