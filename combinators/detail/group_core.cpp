#include <magpie/combinators/detail/group_core.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

#include <array>
#include <mutex>
#include <new>
#include <stdexcept>

namespace magpie::detail {

namespace {

constexpr std::size_t asked_at_once = 32;  // children that are asked to end between two looks at the list

bool is_group_aborting(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (group_aborting const&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

// ---------------------------------------------------------------------------------------------- life

group_core::group_core(task_context& owner, scheduler& where, bool cancel_rest, worker* home) noexcept
    : owner_(owner), where_(where), request_(owner), home_(home), cancel_rest_(cancel_rest) {}

group_core& group_core::open(bool cancel_rest, bool serial) {
    task_context& owner = *current_context();
    task_extras& extras = extras_of(owner);
    worker* home = serial ? current_home() : nullptr;
    if (owner.pinned) {
        home = owner.home;
    }
    auto* const core = new group_core(owner, required_scheduler("with_task_group"), cancel_rest, home);
    core->outer = extras.scopes;
    extras.scopes = core;
    return *core;
}

void group_core::release() noexcept {
    if (references_.fetch_sub(1, mo_acq_rel) == 1) {  // pairs with the other releases
        delete this;
    }
}

void group_core::close() noexcept {
    MAGPIE_ASSERT(closed_);
    for (failure* each = std::exchange(first_failure_, nullptr); each != nullptr;) {
        delete std::exchange(each, each->next);
    }
    release();
}

// ---------------------------------------------------------------------------------------------- children

void group_core::refuse_if_over() const {
    if (closed_) {
        throw usage_error("a task was spawned into a task group that has ended");
    }
    if (aborting_) {
        throw group_aborting();
    }
}

void group_core::reserve() {
    std::lock_guard const lock(lock_);
    refuse_if_over();
    ++live_;
}

bool group_core::try_reserve(std::size_t bound) {
    std::lock_guard const lock(lock_);
    refuse_if_over();
    if (live_ >= bound || !bounded_.empty()) {
        return false;
    }
    ++live_;
    return true;
}

void group_core::give_up() noexcept {
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        count_down(woken);
    }
    woken.wake();
}

void group_core::count_down(woken_waiters& woken) noexcept {
    --live_;
    while (!bounded_.empty()) {
        auto& next = static_cast<slot_waiter&>(*bounded_.front());
        if (live_ >= next.bound_) {
            return;
        }
        bounded_.erase(&next);
        ++live_;
        woken.add(next);
    }
    if (live_ == 0 && joiner_ != nullptr) {
        closed_ = true;
        woken.add(*std::exchange(joiner_, nullptr));
    }
}

// The child may have ended already, and be on its way to child_ended(), which then finds it unlinked.
void group_core::adopt(spawned_base& child) noexcept {
    bool late = false;
    {
        std::lock_guard const lock(lock_);
        if (child.ended()) {
            return;
        }
        children_.push_back(&child);
        late = aborting_;
        if (late && first_asked_ == nullptr) {
            first_asked_ = &child;
        }
    }
    if (late) {
        child.request_cancel(request_origin::external);
    }
}

void group_core::unlink(spawned_base& child) noexcept {
    if (!children_.linked(&child)) {
        return;
    }
    if (first_asked_ == &child) {
        first_asked_ = children_.next(&child);
    }
    children_.erase(&child);
}

void group_core::child_ended(spawned_base& child) noexcept {
    child.look();
    if (std::exception_ptr error = child.error()) {
        record(std::move(error));
    }
    woken_waiters woken;
    {
        std::lock_guard const lock(lock_);
        unlink(child);
        count_down(woken);
    }
    woken.wake();
}

void group_core::record(std::exception_ptr error) noexcept {
    if (aborting() && is_group_aborting(error)) {
        return;  // it wanted to spawn, and was refused: that is how it was cancelled
    }
    if (auto* const entry = new (std::nothrow) failure) {
        entry->error = std::move(error);
        std::lock_guard const lock(lock_);
        *last_failure_ = entry;
        last_failure_ = &entry->next;
    } else {
        report_suppressed(std::move(error), "task group: there was no memory to keep a task's error");
    }
    if (cancel_rest_) {
        abort(true);
    }
}

// ---------------------------------------------------------------------------------------------- ending early

void group_core::cancel() noexcept {
    {
        std::lock_guard const lock(lock_);
        if (closed_) {
            return;
        }
        cancelled_itself_ = true;
    }
    abort(true);
}

void group_core::abort(bool interrupt_body) noexcept {
    {
        std::lock_guard const lock(lock_);
        if (aborting_ || closed_) {
            return;
        }
        aborting_ = true;
        ++live_;
        interrupt_body = interrupt_body && body_runs_;
        requested_ = interrupt_body;
    }
    if (interrupt_body) {
        owner_.request_cancel(request_origin::scope);
    }
    ask_children();
    give_up();
}

void group_core::ask_children() noexcept {
    for (;;) {
        std::array<spawned_base*, asked_at_once> batch;
        std::size_t count = 0;
        {
            std::lock_guard const lock(lock_);
            while (count < batch.size() && !children_.empty() && children_.front() != first_asked_) {
                spawned_base* const child = children_.pop_front();
                children_.push_back(child);
                if (first_asked_ == nullptr) {
                    first_asked_ = child;
                }
                child->retain();
                batch[count++] = child;
            }
        }
        if (count == 0) {
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            batch[i]->request_cancel(request_origin::external);
            batch[i]->release();
        }
    }
}

// ---------------------------------------------------------------------------------------------- the owner

bool group_core::aborting() const noexcept {
    std::lock_guard const lock(lock_);
    return aborting_;
}

std::size_t group_core::live() const noexcept {
    std::lock_guard const lock(lock_);
    return live_;
}

void group_core::body_over(std::exception_ptr const& error) noexcept {
    leave_scope(owner_, *this);
    {
        std::lock_guard const lock(lock_);
        body_runs_ = false;
    }
    if (error && (cancel_rest_ || is_cancellation(error))) {
        abort(false);
    }
}

// A request reached the owner while it waits. Its own group's does not count: that one is taken back.
void group_core::owner_asked() noexcept {
    {
        std::lock_guard const lock(lock_);
        if (live_ == 0 || !request_.others_asked(requested_)) {
            return;
        }
        owner_cancelled_ = true;
    }
    abort(false);
}

std::vector<std::exception_ptr> group_core::take_errors() {
    std::vector<std::exception_ptr> errors;
    for (failure* each = first_failure_; each != nullptr; each = each->next) {
        errors.push_back(std::move(each->error));
    }
    return errors;
}

void group_core::conclude(std::exception_ptr body_error) {
    // Nobody else is here any more: the owner has joined.
    bool const others_asked = requested_ ? !request_.take_back() : request_.others_asked(false);
    bool const body_cancelled =
        body_error && (is_cancellation(body_error) || (aborting_ && is_group_aborting(body_error)));
    std::vector<std::exception_ptr> errors = take_errors();
    if (body_error && !body_cancelled) {
        errors.push_back(std::move(body_error));
    }
    if (!errors.empty()) {
        if (others_asked) {
            owner_.rearm();  // errors come first, but the cancellation may have been delivered in here, and is not lost
        }
        throw exception_group(std::move(errors));
    }
    if (owner_cancelled_ || (others_asked && body_cancelled)) {
        deliver_cancellation(owner_);
    }
    if (body_cancelled && !requested_ && !cancelled_itself_) {
        std::rethrow_exception(std::move(body_error));
    }
    if (others_asked && requested_ && !told_) {
        owner_.rearm();  // another scope's request may have been met in here, by a body that took it for the group's
    }
}

bool group_core::join_awaiter::await_ready() noexcept {
    std::lock_guard const lock(group_.lock_);
    group_.closed_ = group_.live_ == 0;
    return group_.closed_;
}

bool group_core::join_awaiter::wait() noexcept {
    // A request that is pending is passed on from in here, so before a child can resume us.
    context->suspend_forwarding(*this);
    {
        std::lock_guard const lock(group_.lock_);
        if (group_.live_ != 0) {
            group_.joiner_ = this;
            return true;
        }
        group_.closed_ = true;
    }
    return !context->complete(*this);  // not: a canceller is inside, and will queue us
}

bool group_core::join_awaiter::try_cancel() noexcept {
    group_.owner_asked();
    return false;
}

// ---------------------------------------------------------------------------------------------- spawn_bounded

group_core::slot_waiter::slot_waiter(group_core& group, std::size_t bound)
    : listed_waiter("a slot of a task group"), group_(group), bound_(bound) {
    if (bound == 0) {
        throw std::invalid_argument("spawn_bounded() needs a bound of at least 1");
    }
}

bool group_core::slot_waiter::wait() {
    std::lock_guard const lock(group_.lock_);
    group_.refuse_if_over();
    if (group_.live_ < bound_ && group_.bounded_.empty()) {
        ++group_.live_;
        return false;
    }
    if (!context->suspend(*this)) {
        cancelled_ = true;
        return false;
    }
    group_.bounded_.push_back(this);
    return true;
}

bool group_core::slot_waiter::try_cancel() noexcept {
    std::lock_guard const lock(group_.lock_);
    if (!wait_list::linked(this)) {
        return false;
    }
    group_.bounded_.erase(this);
    return true;
}

void group_core::slot_waiter::check() {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    if (group_.aborting()) {
        group_.give_up();
        throw group_aborting();
    }
}

}  // namespace magpie::detail
