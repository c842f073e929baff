#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/wait_core.hpp>
#include <magpie/runtime/detail/current.hpp>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace magpie::detail {

void wait_core::set_tasks(std::vector<spawned_base*> const& tasks) {
    std::vector<std::size_t> order(tasks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, std::less<>(), [&](std::size_t i) { return std::pair(tasks[i], i); });
    auto const repeated = std::ranges::unique(order, std::equal_to<>(), [&](std::size_t i) { return tasks[i]; });
    order.erase(repeated.begin(), repeated.end());
    std::ranges::sort(order);
    watchers_.allocate(order.size());
    for (std::size_t const position : order) {
        watchers_.emplace(*this, *tasks[position]);
    }
    distinct_ = std::move(order);
}

bool wait_core::satisfied() noexcept {
    std::size_t ended = 0;
    for (task_watcher& each : watchers_) {
        if (!each.task().ended()) {
            continue;
        }
        ++ended;
        if (until_ == wait_until::first_completed ||
            (until_ == wait_until::first_exception && each.task().error() != nullptr)) {
            return true;
        }
    }
    return ended == watchers_.size();
}

bool wait_core::await_ready() {
    if (watchers_.size() == 0) {
        throw std::invalid_argument("wait() was given no handles: it would never end");
    }
    return satisfied();
}

bool wait_core::begin() {
    if (only_polls()) {
        if (context->shield_depth == 0 && context->request_pending()) {
            return false;  // finish() delivers it
        }
        schedule_yield(*this);
        return true;
    }
    if (timeout_ && *timeout_ != duration::max()) {
        arm(*this, deadline_in(*timeout_));  // may throw: before anybody knows of us
        timer_used_ = true;
    }
    linked_ = true;
    for (task_watcher& each : watchers_) {
        if (!each.task().watch(each)) {
            one_ended(each.task());
        }
    }
    std::lock_guard const lock(lock_);
    if (done_) {
        return false;
    }
    if (!context->suspend(*this)) {
        cancelled_ = true;
        done_ = true;
        return false;
    }
    waiting_ = true;
    return true;
}

// Under the task's lock, unless the task had ended before it was watched.
void wait_core::one_ended(spawned_base& task) noexcept {
    bool const decides =
        until_ == wait_until::first_completed || (until_ == wait_until::first_exception && task.error() != nullptr);
    {
        std::lock_guard const lock(lock_);
        ++ended_;
        if (done_ || (!decides && ended_ < watchers_.size())) {
            return;
        }
        done_ = true;
        if (!waiting_) {
            return;
        }
    }
    wake();
}

bool wait_core::try_cancel() noexcept {
    std::lock_guard const lock(lock_);
    return !std::exchange(done_, true);
}

void wait_core::expired() noexcept {
    bool wakes = false;
    {
        std::lock_guard const lock(lock_);
        wakes = !std::exchange(done_, true) && waiting_;
    }
    if (wakes) {
        wake();
    }
    timer_over_.store(true, mo_release);  // pairs with the acquire in wait_for_flag()
}

void wait_core::end() noexcept {
    if (std::exchange(timer_used_, false) && !disarm(*this)) {
        wait_for_flag(timer_over_);
    }
    if (std::exchange(linked_, false)) {
        for (task_watcher& each : watchers_) {
            (void)each.task().unwatch(each);
        }
    }
}

bool wait_core::finish() {
    end();
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    if (only_polls() && context != nullptr) {
        deliver_if_due(*context);
    }
    return !satisfied();
}

}  // namespace magpie::detail
