#include <magpie/runtime/detail/fork_join.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>

namespace magpie::detail {

std::coroutine_handle<> fork_join::launch(std::coroutine_handle<> parent, task_context& parent_context,
                                          std::span<child* const> children) {
    handle = parent;
    context = &parent_context;
    MAGPIE_ASSERT(!children.empty());
    worker& here = *current_worker();
    if (parent_context.request_pending() && parent_context.shield_depth == 0) [[unlikely]] {
        if (std::ranges::none_of(children, &child::has_started)) {
            cancelled_ = true;
            return parent;
        }
        adopt(here, parent_context, children);
        return launch_cancelled(children);
    }
    if (here.fifo() || parent_context.pinned) [[unlikely]] {
        return launch_queued(here, children);
    }
    here.reserve_forks(children.size() - 1);  // throws before anything has begun, or not at all
    adopt(here, parent_context, children);
    outer = here.open_join();
    here.set_open_join(this);
    here.push_forks(children.subspan(1));
    return here.step_into(*children[0]);
}

std::coroutine_handle<> fork_join::launch_queued(worker& here, std::span<child* const> children) noexcept {
    adopt(here, *context, children);
    outer = here.open_join();
    here.set_open_join(this);
    for (child* each : children) {
        here.push_quietly(*each);
    }
    return std::noop_coroutine();
}

void fork_join::adopt(worker& here, task_context& parent_context, std::span<child* const> children) noexcept {
    total_ = static_cast<std::uint32_t>(children.size());
    pending_.store(total_ + 1, mo_relaxed);
    for (child* each : children) {
        each->parent = &parent_context;
        each->home = &here;
        each->pinned = parent_context.pinned;
        each->join = this;
    }
    if (parent_context.locals != nullptr) [[unlikely]] {
        for (child* each : children) {
            lend_locals(parent_context, *each);
        }
    }
}

// Never open: the request is passed on to all children before the first of them can run.
std::coroutine_handle<> fork_join::launch_cancelled(std::span<child* const> children) noexcept {
    context->suspend_forwarding(*this);
    for (child* each : children) {
        schedule(*each);
    }
    // acq_rel: pairs with the subtractions in arrive()
    if (pending_.fetch_sub(1, mo_acq_rel) == 1 && context->complete(*this)) {
        return resume_parent(*current_worker());
    }
    return std::noop_coroutine();
}

std::coroutine_handle<> fork_join::arrive(child& ended) noexcept {
    MAGPIE_ASSERT(ended.join == this);
    worker& here = *current_worker();
    if (here.open_join() != this) [[unlikely]] {
        return arrive_closed(here);
    }
    if (++ended_here_ == total_) {
        here.set_open_join(outer);
        return resume_parent(here);
    }
    // The next child is on top of the fork stack unless it was exposed or stolen. One that is to be cancelled unstarted
    // goes through the main loop: ending it here would recurse, a level for each.
    if (!here.charge()) [[likely]] {
        if (work_item* const next = here.pop_fork_of(*this)) [[likely]] {
            return here.step_into(*next);
        }
    }
    if (close(here)) {
        return resume_parent(here);
    }
    return std::noop_coroutine();
}

std::coroutine_handle<> fork_join::arrive_closed(worker& here) noexcept {
    // acq_rel: pairs with the other subtractions; the last one sees what every child stored.
    if (pending_.fetch_sub(1, mo_acq_rel) == 1 && context->complete(*this)) {
        return resume_parent(here);
    }
    return std::noop_coroutine();
}

bool fork_join::close(worker& owner) noexcept {
    MAGPIE_ASSERT(owner.open_join() == this);
    owner.set_open_join(outer);
    std::uint32_t const mine = ended_here_ + 1;
    context->suspend_forwarding(*this);
    // acq_rel: pairs with the subtractions in arrive(). Not 0: others still run, and one of them may already have
    // brought the parent on; `this` is theirs.
    return pending_.fetch_sub(mine, mo_acq_rel) == mine && context->complete(*this);
}

std::coroutine_handle<> fork_join::resume_parent(worker& here) noexcept {
    if (here.fifo() || context->pinned) [[unlikely]] {
        if (context->pinned && context->home != &here) {
            schedule(*this);
            return std::noop_coroutine();
        }
        if (here.fifo()) {
            here.push_quietly(*this);
            return std::noop_coroutine();
        }
    }
    return here.step_back_into(*this);
}

bool fork_join::try_cancel() noexcept {
    if (cancel_children()) {
        accepted_.store(true, mo_release);  // pairs with the acquire in request_accepted()
    }
    return false;
}

} // namespace magpie::detail
