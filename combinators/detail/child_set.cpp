#include <magpie/combinators/detail/child_set.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/task_locals.hpp>

#include <mutex>
#include <utility>

namespace magpie::detail {

void child_set::start(task_context& parent, child& each) noexcept {
    adopt(parent, each);
    schedule(each);
}

void child_set::start_asked(task_context& parent, child& each) noexcept {
    adopt(parent, each);
    each.request_cancel(request_origin::external);
    schedule(each);
}

void child_set::adopt(task_context& parent, child& each) noexcept {
    each.parent = &parent;
    each.home = parent.pinned ? parent.home : current_worker();
    each.pinned = parent.pinned;
    each.set = this;
    share_locals(parent, each);
    ++live_;
}

child_set::child* child_set::take_ended() noexcept {
    std::lock_guard const lock(lock_);
    work_item* const first = ended_.pop_front();
    if (first == nullptr) {
        return nullptr;
    }
    --live_;
    return static_cast<child*>(first);
}

void child_set::ended(child& each) noexcept {
    waiter* parent = nullptr;
    {
        std::lock_guard const lock(lock_);
        ended_.push_back(&each);
        parent = std::exchange(waiter_, nullptr);
    }
    if (parent != nullptr) {
        parent->wake();
    }
}

void child_set::pass_on_requests(task_context const& parent) noexcept {
    if (parent.shield_depth == 0) {
        pass_on(parent.cancel_count());
    }
}

void child_set::pass_on(unsigned count) noexcept {
    if (count == requests_) {
        return;
    }
    requests_ = count;
    if (request_all()) {
        accepted_.store(true, mo_release);  // pairs with the acquire in request_accepted()
    }
}

bool child_set::some_ended_awaiter::await_ready() noexcept {
    std::lock_guard const lock(set_.lock_);
    return !set_.ended_.empty();
}

bool child_set::some_ended_awaiter::wait() noexcept {
    // A request that is pending is passed on from in here, so before a child can resume us.
    context->suspend_forwarding(*this);
    {
        std::lock_guard const lock(set_.lock_);
        if (set_.ended_.empty()) {
            set_.waiter_ = this;
            return true;
        }
    }
    return !context->complete(*this);  // not: a canceller is inside, and will queue us
}

bool child_set::some_ended_awaiter::try_cancel() noexcept {
    set_.pass_on(context->cancel_count());
    return false;
}

}  // namespace magpie::detail
