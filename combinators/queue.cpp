#include <magpie/combinators/queue.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/thread_gate.hpp>
#include <magpie/runtime/errors.hpp>

#include <mutex>
#include <utility>

namespace magpie::detail {

queue_core::~queue_core() {
    MAGPIE_ASSERT(getters_.empty());
    MAGPIE_ASSERT(putters_.empty());
    MAGPIE_ASSERT(joiners_.empty());
}

// ---------------------------------------------------------------------------------------------- under the lock

void queue_core::add_item(queue_node& item, told& over) noexcept {
    if (queue_place* const getter = getters_.pop_front()) {
        getter->item = &item;
        getter->how = end::done;
        over.push_back(getter);
        return;
    }
    order_.add(item);
    ++count_;
}

// Room has become free: the putters who wait longest have it.
void queue_core::fill_room(told& over) noexcept {
    while (!putters_.empty() && has_room()) {
        queue_place* const putter = putters_.pop_front();
        ++unfinished_;
        add_item(*std::exchange(putter->item, nullptr), over);
        putter->how = end::done;
        over.push_back(putter);
    }
}

void queue_core::finish_unfinished(std::size_t n, told& over) noexcept {
    unfinished_ -= n;
    if (unfinished_ == 0) {
        end_all(joiners_, end::done, over);
    }
}

void queue_core::release_getters_if_closed(told& over) noexcept {
    if (closed_ && reserved_ == 0) {
        end_all(getters_, end::closed, over);
    }
}

void queue_core::end_all(places& of, end how, told& over) noexcept {
    while (queue_place* const each = of.pop_front()) {
        each->how = how;
        over.push_back(each);
    }
}

queue_core::end queue_core::link(queue_place& place, places& in, waiter* task) noexcept {
    if (task != nullptr) {
        if (!task->context->suspend(*task)) {
            return place.how = end::refused;
        }
        learn_runtime();
    }
    in.push_back(&place);
    hold_clock(place);
    return end::none;
}

// A foreign thread that waits may bring something: the tasks that use the queue must not be told of a deadlock.
void queue_core::hold_clock(queue_place& foreign) noexcept {
    if (foreign.outside != nullptr && !foreign.outside->has_value() && runtime_ != nullptr) {
        foreign.outside->emplace(runtime_);
    }
}

void queue_core::learn_runtime() noexcept {
    std::shared_ptr<outside_work> here = outside_work_of(*current_scheduler());
    if (here == runtime_) {
        return;
    }
    runtime_ = std::move(here);
    for (places* const each : {&getters_, &putters_}) {
        for (auto* place = each->front(); place != nullptr; place = each->next(place)) {
            hold_clock(*place);
        }
    }
}

// ---------------------------------------------------------------------------------------------- operations

// Not under the lock. What is told may be gone at once.
void queue_core::tell(told& over) noexcept {
    while (queue_place* const each = over.pop_front()) {
        each->ended();
    }
}

queue_core::end queue_core::put(queue_place& place, wait_policy policy, waiter* task) noexcept {
    told over;
    {
        std::lock_guard const lock(lock_);
        if (closed_) {
            return place.how = end::closed;
        }
        if (!putters_.empty() || !has_room()) {
            return policy == wait_policy::never ? end::none : link(place, putters_, task);
        }
        ++unfinished_;
        add_item(*std::exchange(place.item, nullptr), over);
        place.how = end::done;
    }
    tell(over);
    return end::done;
}

queue_core::end queue_core::get(queue_place& place, wait_policy policy, waiter* task) noexcept {
    told over;
    {
        std::lock_guard const lock(lock_);
        if (count_ == 0) {
            if (closed_ && reserved_ == 0) {
                return place.how = end::closed;
            }
            return policy == wait_policy::never ? end::none : link(place, getters_, task);
        }
        place.item = &order_.take();
        --count_;
        place.how = end::done;
        fill_room(over);
    }
    tell(over);
    return end::done;
}

queue_core::end queue_core::join(queue_place& place, wait_policy policy, waiter* task) noexcept {
    std::lock_guard const lock(lock_);
    if (unfinished_ == 0) {
        return place.how = end::done;
    }
    return policy == wait_policy::never ? end::none : link(place, joiners_, task);
}

bool queue_core::leave(queue_place& place, places& in) noexcept {
    std::lock_guard const lock(lock_);
    if (!places::linked(&place)) {
        return false;
    }
    in.erase(&place);
    return true;
}

bool queue_core::reserve() noexcept {
    std::lock_guard const lock(lock_);
    if (closed_ || !putters_.empty() || !has_room()) {
        return false;
    }
    ++reserved_;
    ++unfinished_;
    return true;
}

bool queue_core::fill_reservation(queue_node& item) noexcept {
    told over;
    bool const kept = [&] {
        std::lock_guard const lock(lock_);
        --reserved_;
        bool const keep = !discarding_;
        if (keep) {
            add_item(item, over);
        } else {
            finish_unfinished(1, over);
        }
        fill_room(over);  // a getter may have had the item, so that its room is free
        release_getters_if_closed(over);
        return keep;
    }();
    tell(over);
    return kept;
}

void queue_core::drop_reservation() noexcept {
    told over;
    {
        std::lock_guard const lock(lock_);
        --reserved_;
        finish_unfinished(1, over);
        fill_room(over);
        release_getters_if_closed(over);
    }
    tell(over);
}

queue_node* queue_core::close(bool discard) noexcept {
    told over;
    queue_node* discarded = nullptr;
    {
        std::lock_guard const lock(lock_);
        closed_ = true;
        discarding_ = discarding_ || discard;
        end_all(putters_, end::closed, over);
        if (discard) {
            discarded = order_.take_all();
            if (std::size_t const n = std::exchange(count_, 0); n != 0) {
                finish_unfinished(n, over);
            }
        }
        release_getters_if_closed(over);
    }
    tell(over);
    return discarded;
}

bool queue_core::task_done() noexcept {
    told over;
    {
        std::lock_guard const lock(lock_);
        if (unfinished_ == 0) {
            return false;
        }
        finish_unfinished(1, over);
    }
    tell(over);
    return true;
}

std::size_t queue_core::size() const noexcept {
    std::lock_guard const lock(lock_);
    return count_;
}

std::size_t queue_core::unfinished() const noexcept {
    std::lock_guard const lock(lock_);
    return unfinished_;
}

bool queue_core::closed() const noexcept {
    std::lock_guard const lock(lock_);
    return closed_;
}

std::size_t queue_core::count(places const& of) const noexcept {
    std::lock_guard const lock(lock_);
    std::size_t n = 0;
    for (auto* each = of.front(); each != nullptr; each = of.next(each)) {
        ++n;
    }
    return n;
}

// ---------------------------------------------------------------------------------------------- tasks

bool queue_waiter::check() const {
    if (was_cancelled()) {
        deliver_cancellation(*context);
    }
    return how == end::done;
}

bool queue_waiter::goes_on() const noexcept {
    return how != end::none && !budget_exhausted();
}

bool queue_waiter::yields() noexcept {
    if (how == end::none) {
        return false;
    }
    schedule_yield(*this);
    return true;
}

bool queue_waiter::suspended(end how_it_ended) noexcept {
    if (how_it_ended == end::refused) {
        cancelled_ = true;
    }
    return how_it_ended == end::none;
}

using policy = queue_core::wait_policy;

bool queue_put_waiter::await_ready() noexcept {
    at_->put(*this, policy::never, nullptr);
    return goes_on();
}

bool queue_put_waiter::wait() noexcept {
    return yields() || suspended(at_->put(*this, policy::may_wait, this));
}

bool queue_get_waiter::await_ready() noexcept {
    at_->get(*this, policy::never, nullptr);
    return goes_on();
}

bool queue_get_waiter::wait() noexcept {
    return yields() || suspended(at_->get(*this, policy::may_wait, this));
}

bool queue_join_waiter::await_ready() noexcept {
    at_->join(*this, policy::never, nullptr);
    return goes_on();
}

bool queue_join_waiter::wait() noexcept {
    return yields() || suspended(at_->join(*this, policy::may_wait, this));
}

// ---------------------------------------------------------------------------------------------- foreign threads

namespace {

class foreign_place final : public queue_place {
public:
    explicit foreign_place(queue_node* to_put) noexcept : queue_place(to_put) { outside = &scope_; }
    void block() noexcept { over_.pass(); }

private:
    void ended() noexcept override { over_.open(); }

    thread_gate over_;
    std::optional<outside_work_scope> scope_;
};

template <class Operation>
bool block_on(queue_core& at, queue_node*& item, Operation operation) {
    if (current_worker() != nullptr) {
        throw usage_error("a blocking queue function was called on a worker, which would stop every task of it; "
                          "co_await put() or get()");
    }
    foreign_place place(item);
    if ((at.*operation)(place, policy::may_wait, nullptr) == queue_place::end::none) {
        place.block();
    }
    item = place.item;
    return place.how == queue_place::end::done;
}

} // namespace

bool block_on_put(queue_core& at, queue_node*& item) {
    return block_on(at, item, &queue_core::put);
}

bool block_on_get(queue_core& at, queue_node*& item) {
    return block_on(at, item, &queue_core::get);
}

void throw_queue_closed() {
    throw queue_closed();
}

void throw_surplus_task_done() {
    throw usage_error("task_done() was called more often than items were put");
}

} // namespace magpie::detail
