#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <mutex>

namespace magpie::detail {

time_point deadline_in(duration d) noexcept {
    return deadline_in(d, now());
}

time_point deadline_in(duration d, time_point start) noexcept {
    if (d > duration::zero() && start > time_point::max() - d) {
        return time_point::max();
    }
    if (d < duration::zero()) {
        return start;  // as good as any other point in the past
    }
    return start + d;
}

void wait_for_flag(atomic<bool> const& flag) noexcept {
    for (int spins = 0; !flag.load(mo_acquire); ++spins) {  // pairs with the release of who sets it
        if (spins < 64) {
            cpu_relax();
        } else {
            yield_thread();
        }
    }
}

deadline_scope::deadline_scope(task_context& task, duration limit) : deadline_scope(task, now(), limit) {}

deadline_scope::deadline_scope(task_context& task, time_point start_of_it, duration limit)
    : request_(task), when_(deadline_in(limit, start_of_it)) {
    task_extras& extras = extras_of(task);
    bool due = false;
    {
        std::lock_guard const lock(lock_);  // once armed it may expire, on another worker
        due = start(start_of_it);
    }
    outer = extras.scopes;
    extras.scopes = this;
    if (due) {
        ask();
    }
}

// True: the deadline has passed, and the caller asks the task to cancel, after it has unlocked.
bool deadline_scope::start(time_point current) {
    if (when_ <= current) {
        expired_ = true;
        return true;
    }
    if (when_ != time_point::max()) {
        arm(*this, when_);
        armed_ = true;
    }
    return false;
}

void deadline_scope::ask() noexcept {
    request_.task().request_cancel(request_origin::scope);
    asked_.store(true, mo_release);  // pairs with the acquire in wait_for_flag(); the last touch
}

void deadline_scope::expired() noexcept {
    {
        std::lock_guard const lock(lock_);
        armed_ = false;
        expired_ = true;
    }
    ask();
}

bool deadline_scope::reschedule(time_point when) {
    if (current_worker() == nullptr) {
        throw usage_error("timeout_scope::reschedule() was called on a thread that is not a worker");
    }
    {
        std::lock_guard const lock(lock_);
        if (expired_ || left_) {
            return false;
        }
        if (armed_ && !disarm(*this)) {
            return false;  // expired() waits for the lock
        }
        armed_ = false;
        when_ = when;
        if (!start(now())) {
            return true;
        }
    }
    ask();
    return true;
}

bool deadline_scope::leave(bool cancelled) noexcept {
    leave_scope(request_.task(), *this);
    bool fired = false;
    {
        std::lock_guard const lock(lock_);
        left_ = true;
        if (armed_ && disarm(*this)) {
            armed_ = false;
        }
        fired = armed_ || expired_;
    }
    if (!fired) {
        // A deadline that has passed counts as met, though another worker resumed the task before it came to this timer.
        if (!told_ && request_.others_asked(false) && when_ <= now()) {
            request_.task().rearm();
        }
        return false;
    }
    wait_for_flag(asked_);
    bool const only_ours = request_.take_back();
    if (!only_ours && !told_) {
        request_.task().rearm();
    }
    return cancelled && only_ours;
}

bool deadline_scope::has_expired() const noexcept {
    std::lock_guard const lock(lock_);
    return expired_;
}

time_point deadline_scope::when() const noexcept {
    std::lock_guard const lock(lock_);
    return when_;
}

}  // namespace magpie::detail
