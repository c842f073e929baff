#include <magpie/combinators/batch.hpp>

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/errors.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace magpie::detail {

namespace {

bool later(batch_slot const* a, batch_slot const* b) noexcept {
    return a->due != b->due ? a->due > b->due : a->order > b->order;
}

} // namespace
batch_core::batch_core(batch_limits const& limits) noexcept
    : permit_waiter(1), parent_(*current_context()), limits_(limits), bucket_(limits.rate, 1),
      requests_(parent_.cancel_count()) {
    if (limits_.shared != nullptr) {
        limits_.shared->add_user(user_);
    }
}

batch_core::~batch_core() {
    MAGPIE_ASSERT(running_ == 0);
    MAGPIE_ASSERT(!queued_up_);
    MAGPIE_ASSERT(!armed_);
    MAGPIE_ASSERT(fetch_ == nullptr);
    if (limits_.shared != nullptr) {
        limits_.shared->remove_user(user_);
    }
    for (batch_slot* each = slots_.load(mo_relaxed); each != nullptr;) {
        delete std::exchange(each, each->next_.load(mo_relaxed));
    }
}

// ---------------------------------------------------------------------------------------------- slots

batch_slot* batch_core::take_free_slot() noexcept {
    batch_slot* const slot = free_;
    if (slot != nullptr) {
        free_ = slot->next_free_;
    }
    return slot;
}

void batch_core::add_slot(batch_slot& slot) noexcept {
    last_slot_->store(&slot, mo_release);  // pairs with the acquires in runs() and cancel_items()
    last_slot_ = &slot.next_;
}

void batch_core::free_slot(batch_slot& slot) noexcept {
    slot.next_free_ = std::exchange(free_, &slot);
}

// ---------------------------------------------------------------------------------------------- starting

bool batch_core::may_start() {
    if (limits_.rate > 0) {
        time_point const start = now();
        time_point const due = bucket_.due(1, start);
        if (due > start) {
            order_timer(due);
            return false;
        }
    }
    return limits_.shared == nullptr ? std::cmp_less(running_, limits_.count) : find_place();
}

bool batch_core::find_place() {
    if (has_place_) {
        return true;
    }
    if (queued_up_) {
        return false;
    }
    if (!limits_.shared->try_take(1)) {
        if (limits_.shared->held_around(parent_)) {
            throw usage_error("a batch waits for a limit of which the task that runs it holds a part, as an item of "
                              "another batch: they would wait for each other");
        }
        if (limits_.shared->take_or_wait(*this, nullptr) == semaphore_core::wait_result::waiting) {
            queued_up_ = true;
            return false;
        }
    }
    has_place_ = true;
    return true;
}

void batch_core::start(batch_slot::record& attempt, std::coroutine_handle<> frame) noexcept {
    if (limits_.rate > 0) {
        bucket_.take(1);
    }
    has_place_ = false;
    ++running_;
    time_begin(*attempt.slot);
    run_as_child(attempt, frame);
}

// A look at the clock is a quarter of an item's price: only who wants to know the latency pays it.
void batch_core::time_begin(batch_slot& slot) noexcept {
    slot.timed_ = limits_.control != nullptr && limits_.control->measures();
    if (slot.timed_) {
        slot.attempt_began_ = now();
        slot.use_ = limits_.control->in_use();
    }
}

void batch_core::tell_limiter(batch_slot const& slot, bool succeeded) noexcept {
    if (limits_.control == nullptr) {
        return;
    }
    if (slot.timed_) {
        limits_.control->record(succeeded, slot.attempt_began_, slot.attempt_ended_ - slot.attempt_began_, slot.use_);
    } else {
        limits_.control->note(succeeded);  // it never began, or nobody wanted to know the latency then
    }
}

void batch_core::run_as_child(task_context& child, std::coroutine_handle<> frame) noexcept {
    child.handle = frame;
    child.parent = &parent_;
    child.home = parent_.pinned ? parent_.home : current_worker();
    child.pinned = parent_.pinned;
    share_locals(parent_, child);
    schedule(child);
}

void batch_core::start_fetch(task_context& fetch, std::coroutine_handle<> frame) noexcept {
    fetch_ = &fetch;
    run_as_child(fetch, frame);
}

batch_slot* batch_core::take_ended() noexcept {
    work_item* first = nullptr;
    {
        std::lock_guard const lock(lock_);
        first = ended_.pop_front();
    }
    if (first == nullptr) {
        return nullptr;
    }
    batch_slot* const slot = static_cast<batch_slot::record*>(first)->slot;
    slot->record_.reset();
    --running_;
    return slot;
}

// ---------------------------------------------------------------------------------------------- pausing

void batch_core::pause(batch_slot& slot) {
    slot.order = next_order_++;
    pausing_.push_back(&slot);
    std::ranges::push_heap(pausing_, later);
}

batch_slot* batch_core::due_slot() {
    if (pausing_.empty()) {
        return nullptr;
    }
    batch_slot* const first = pausing_.front();
    if (first->due > now()) {
        order_timer(first->due);
        return nullptr;
    }
    return first;
}

void batch_core::end_pause_of_due_slot() noexcept {
    std::ranges::pop_heap(pausing_, later);
    pausing_.pop_back();
}

batch_slot* batch_core::drop_pausing() noexcept {
    if (pausing_.empty()) {
        return nullptr;
    }
    batch_slot* const last = pausing_.back();
    pausing_.pop_back();
    return last;
}

std::size_t batch_core::most_at_once() const noexcept {
    std::ptrdiff_t const limit = limits_.shared == nullptr ? limits_.count : limits_.shared->limit();
    return static_cast<std::size_t>(std::max<std::ptrdiff_t>(limit, 1));
}

std::size_t batch_core::most_pausing() const noexcept {
    constexpr std::size_t at_least = 256;
    return std::max(most_at_once(), at_least);
}

// The earliest of what was ordered: the others are ordered again when it has fired.
void batch_core::order_timer(time_point when) {
    if (armed_ && (armed_for_ <= when || !disarm(*this))) {
        return;
    }
    armed_ = false;
    arm(*this, when);
    armed_ = true;
    armed_for_ = when;
}

// ---------------------------------------------------------------------------------------------- events

// Whoever brings an event: `change` says which, under the lock.
template <class Change>
void batch_core::bring(Change change) noexcept {
    waiter* driver = nullptr;
    {
        std::lock_guard const lock(lock_);
        change();
        driver = std::exchange(sleeping_, nullptr);
    }
    // Unless the driver sleeps, which it does until it is woken, the batch may be gone.
    if (driver != nullptr) {
        driver->wake();
    }
}

void batch_core::ended(batch_slot::record& attempt) noexcept {
    if (attempt.slot->timed_) {
        attempt.slot->attempt_ended_ = now();  // the driver may come to it much later
    }
    if (limits_.shared != nullptr) {
        limits_.shared->give_back(1);
    }
    bring([&] { ended_.push_back(&attempt); });
}

void batch_core::fetched() noexcept {
    bring([&] { fetched_ = true; });
}

void batch_core::granted() noexcept {
    bring([&] { granted_ = true; });
}

void batch_core::expired() noexcept {
    bring([&] { fired_ = true; });
}

// The driver, or with the driver suspended, under the lock.
bool batch_core::anything() const noexcept {
    return !ended_.empty() || granted_ || fired_ || fetched_ || requested_ || come_back_;
}

void batch_core::take_events() noexcept {
    std::lock_guard const lock(lock_);
    if (std::exchange(granted_, false)) {
        queued_up_ = false;
        has_place_ = true;
    }
    if (std::exchange(fired_, false)) {
        armed_ = false;
    }
    if (std::exchange(fetched_, false)) {
        fetch_ = nullptr;
    }
    requested_ = false;
    come_back_ = false;
}

bool batch_core::give_up_place() noexcept {
    if (queued_up_ && limits_.shared->withdraw(*this)) {
        queued_up_ = false;
    }
    if (std::exchange(has_place_, false)) {
        limits_.shared->give_back(1);
    }
    return !queued_up_;
}

bool batch_core::at_rest() noexcept {
    bool const without_place = give_up_place();
    if (armed_ && disarm(*this)) {
        armed_ = false;
    }
    return running_ == 0 && without_place && !armed_ && fetch_ == nullptr;
}

// ---------------------------------------------------------------------------------------------- cancelling

// By the driver, or by a canceller while the driver is suspended: either way no slot is started or taken back meanwhile.
bool batch_core::cancel_items() noexcept {
    bool taken = false;
    // acquire: pairs with the release in add_slot()
    for (batch_slot* each = slots_.load(mo_acquire); each != nullptr; each = each->next_.load(mo_acquire)) {
        taken |= each->record_ && each->record_->request_cancel(request_origin::external);
    }
    if (fetch_ != nullptr) {
        taken |= fetch_->request_cancel(request_origin::external);
    }
    return taken;
}

bool batch_slot::holds(task_context const& task) const noexcept {
    auto const address = reinterpret_cast<std::uintptr_t>(&task);
    auto const begin = reinterpret_cast<std::uintptr_t>(&record_);
    return address >= begin && address < begin + sizeof(record_);
}

bool batch_core::runs(task_context const& task) const noexcept {
    if (task.parent != &parent_) {
        return false;
    }
    // acquire: pairs with the release in add_slot()
    for (batch_slot const* each = slots_.load(mo_acquire); each != nullptr; each = each->next_.load(mo_acquire)) {
        if (each->holds(task)) {
            return true;
        }
    }
    return false;
}

bool batch_core::event_awaiter::await_ready() noexcept {
    bool ready = false;
    {
        std::lock_guard const lock(batch_.lock_);
        ready = batch_.anything();
    }
    yields_ = ready && budget_exhausted();
    return ready && !yields_;
}

bool batch_core::event_awaiter::wait() noexcept {
    if (yields_) {
        schedule_yield(*this);
        return true;
    }
    // A request that is pending is passed on from in here, before anybody can resume us.
    context->suspend_forwarding(*this);
    {
        std::lock_guard const lock(batch_.lock_);
        if (!batch_.anything()) {
            batch_.sleeping_ = this;
            return true;
        }
    }
    return !context->complete(*this);  // not: a canceller is inside, and will queue us
}

bool batch_core::event_awaiter::try_cancel() noexcept {
    unsigned const count = context->cancel_count();
    if (count == batch_.requests_) {
        return false;
    }
    batch_.requests_ = count;
    if (batch_.cancel_items()) {
        batch_.passed_on_ = true;
    }
    std::lock_guard const lock(batch_.lock_);
    batch_.requested_ = true;
    return std::exchange(batch_.sleeping_, nullptr) != nullptr;
}

} // namespace magpie::detail
