#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/errors.hpp>

#include <mutex>
#include <utility>

namespace magpie::detail {

completion_core::~completion_core() {
    deadline_.clear();
    MAGPIE_ASSERT(consumers_.empty());
    MAGPIE_ASSERT(children_.empty());
    MAGPIE_ASSERT(asked_.empty());
}

// ---------------------------------------------------------------------------------------------- ends

void completion_core::ended(completion_node& node) noexcept {
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        --outstanding_;
        if (listed_waiter* const first = consumers_.pop_front()) {
            auto& consumer = static_cast<completion_waiter&>(*first);
            consumer.node_ = &node;
            handed_over();
            wakes(consumer, status::item, woken);
        } else {
            ended_.push_back(&node);
        }
        if (exhausted()) {
            end_waits(status::end, woken);
        }
        if (all_gone() && joiner_ != nullptr) {
            woken.add(*std::exchange(joiner_, nullptr));
        }
    }
    woken.wake();
}

// Under the lock. The feeder, if it waits, is there until it is woken.
void completion_core::handed_over() noexcept {
    --live_;
    if (feeder_ != nullptr && has_room()) {
        std::exchange(feeder_, nullptr)->wake();
    }
}

void completion_core::feeder_ended(std::exception_ptr error) noexcept {
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        --outstanding_;
        if (error && is_cancellation(error)) {
            error = abandoned_ ? nullptr : child_cancelled_ptr();
        }
        if (listed_waiter* const first = error ? consumers_.pop_front() : nullptr) {
            auto& consumer = static_cast<completion_waiter&>(*first);
            consumer.error_ = std::move(error);
            wakes(consumer, status::source_failed, woken);
        } else {
            source_error_ = std::move(error);
        }
        if (exhausted()) {
            end_waits(status::end, woken);
        }
        if (all_gone() && joiner_ != nullptr) {
            woken.add(*std::exchange(joiner_, nullptr));
        }
    }
    woken.wake();
}

void completion_core::end_waits(status how, woken_waiters& woken) noexcept {
    while (listed_waiter* const each = consumers_.pop_front()) {
        wakes(static_cast<completion_waiter&>(*each), how, woken);
    }
}

void completion_core::wakes(completion_waiter& consumer, status how, woken_waiters& woken) noexcept {
    consumer.how_ = how;
    consumer.woken_ = true;
    ++resuming_;
    woken.add(consumer);
}

void completion_core::resumed() noexcept {
    waiter* joiner = nullptr;
    {
        std::lock_guard const lock(lock_);
        --resuming_;
        if (all_gone()) {
            joiner = std::exchange(joiner_, nullptr);
        }
    }
    if (joiner != nullptr) {
        joiner->wake();
    }
}

// Under the lock.
completion_core::status completion_core::take(completion_node*& node) noexcept {
    node = ended_.pop_front();
    if (node != nullptr) {
        handed_over();
        return status::item;
    }
    if (exhausted()) {
        return status::end;
    }
    return timed_out_ ? status::timed_out : status::none;
}

// ---------------------------------------------------------------------------------------------- children

void completion_core::start(task_context& parent, completion_child& child) noexcept {
    {
        std::lock_guard const lock(lock_);
        ++live_;
    }
    queue(parent, child);
}

bool completion_core::start_in_time(task_context& parent, completion_child& child) noexcept {
    bool late = false;
    {
        std::lock_guard const lock(lock_);
        late = timed_out_ && !child.has_started();
        live_ += late ? 0 : 1;
    }
    if (late) {
        delete &child;
        return false;
    }
    queue(parent, child);
    return true;
}

void completion_core::start_feeder(task_context& parent, completion_child& feeder, std::size_t limit) noexcept {
    limit_ = limit;
    queue(parent, feeder);
}

void completion_core::queue(task_context& parent, completion_child& child) noexcept {
    child.parent = &parent;
    child.home = parent.pinned ? parent.home : current_worker();
    child.pinned = parent.pinned;
    child.core = this;
    share_locals(*current_context(), child);  // the running task's: the parent, a consumer, or the feeder
    bool late = false;
    {
        std::lock_guard const lock(lock_);
        children_.push_back(&child);
        ++outstanding_;
        late = abandoned_;
    }
    if (late) {
        child.request_cancel(request_origin::external);
    }
    schedule(child);
}

void completion_core::release(completion_child& child) noexcept {
    {
        std::lock_guard const lock(lock_);
        if (abandoned_) {
            return;  // the owner has it on its list, and frees it
        }
        children_.erase(&child);
    }
    delete &child;
}

void completion_core::feed() noexcept {
    {
        std::lock_guard const lock(lock_);
        if (feeding_ || !may_start()) {
            return;
        }
        feeding_ = true;
    }
    woken_waiters woken;
    for (bool on = true; on;) {
        std::exception_ptr error;
        bool started = false;
        try {
            started = start_one();
        } catch (...) {
            error = std::current_exception();
        }
        std::lock_guard const lock(lock_);
        if (!started) {
            more_ = false;
            source_error_ = std::move(error);
        }
        on = may_start();
        if (!on) {
            feeding_ = false;
            if (exhausted()) {
                end_waits(status::end, woken);
            }
        }
    }
    woken.wake();
}

void completion_core::throw_source_error() {
    std::exception_ptr error;
    {
        std::lock_guard const lock(lock_);
        error = std::exchange(source_error_, nullptr);
    }
    if (error) {
        std::rethrow_exception(std::move(error));
    }
}

// ---------------------------------------------------------------------------------------------- time

void completion_core::deadline::set(time_point when) {
    if (when != time_point::max()) {
        arm(*this, when);
        set_ = true;
    }
}

void completion_core::deadline::clear() noexcept {
    if (std::exchange(set_, false) && !disarm(*this)) {
        wait_for_flag(over_);
    }
    over_.store(false, mo_relaxed);
}

void completion_core::deadline::expired() noexcept {
    core_.time_is_up();
    over_.store(true, mo_release);  // pairs with the acquire in wait_for_flag()
}

void completion_core::time_is_up() noexcept {
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        timed_out_ = true;
        end_waits(status::timed_out, woken);
    }
    woken.wake();
}

void completion_core::set_deadline_once(duration from_now) {
    {
        std::lock_guard const lock(lock_);
        if (std::exchange(deadline_set_, true)) {
            return;
        }
    }
    set_deadline(deadline_in(from_now));
}

void completion_core::clear_deadline() noexcept {
    deadline_.clear();
    std::lock_guard const lock(lock_);
    timed_out_ = false;
}

// ---------------------------------------------------------------------------------------------- leaving

void completion_core::abandon(task_context& parent) noexcept {
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        MAGPIE_ASSERT(!feeding_);
        more_ = false;
        abandoned_ = true;
        asked_.append(children_);
        end_waits(status::end, woken);
    }
    woken.wake();
    requests_ = parent.cancel_count();
    cancel_children();
}

void completion_core::cancel_children() noexcept {
    for (completion_child* each = asked_.front(); each != nullptr; each = asked_.next(each)) {
        each->request_cancel(request_origin::external);
    }
}

void completion_core::drop_rest(char const* what) noexcept {
    if (source_error_) {
        report_suppressed(std::move(source_error_), what);
    }
    while (completion_node* const node = take_left()) {
        if (std::exception_ptr error = static_cast<completion_child*>(node)->failure()) {
            report_suppressed(std::move(error), what);
        }
    }
    asked_.append(children_);
    while (completion_child* const child = asked_.pop_front()) {
        delete child;
    }
}

bool completion_core::join_awaiter::await_ready() noexcept {
    std::lock_guard const lock(core_.lock_);
    return core_.all_gone();
}

bool completion_core::join_awaiter::wait() noexcept {
    // A request that is pending is passed on from in here, so before a child can resume us.
    context->suspend_forwarding(*this);
    {
        std::lock_guard const lock(core_.lock_);
        if (!core_.all_gone()) {
            core_.joiner_ = this;
            return true;
        }
    }
    return !context->complete(*this);  // not: a canceller is inside, and will queue us
}

bool completion_core::join_awaiter::try_cancel() noexcept {
    unsigned const count = context->cancel_count();
    if (count != core_.requests_) {
        core_.requests_ = count;
        core_.cancel_children();
    }
    return false;
}

// ---------------------------------------------------------------------------------------------- the feeder

bool completion_core::room_awaiter::await_ready() noexcept {
    std::lock_guard const lock(core_.lock_);
    return core_.has_room();
}

bool completion_core::room_awaiter::wait() noexcept {
    std::lock_guard const lock(core_.lock_);
    if (core_.has_room()) {
        return false;
    }
    if (!context->suspend(*this)) {
        cancelled_ = true;
        return false;
    }
    core_.feeder_ = this;
    return true;
}

bool completion_core::room_awaiter::try_cancel() noexcept {
    std::lock_guard const lock(core_.lock_);
    return std::exchange(core_.feeder_, nullptr) != nullptr;
}

void completion_core::room_awaiter::await_resume() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    deliver_if_due(*current_context());  // also where there is room: the generator may never wait
}

}  // namespace magpie::detail
