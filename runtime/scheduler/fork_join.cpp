#include <magpie/runtime/detail/fork_join.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/fork_parts.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>

namespace magpie::detail {

// The hot path of launch() and arrive() calls nothing but current_worker(), and ends in a tail call where it is left: so
// hardly a register has to be saved.
std::coroutine_handle<> fork_join::launch(std::coroutine_handle<> parent, task_context& parent_context,
                                          std::span<child* const> children) {
    handle = parent;
    context = &parent_context;
    MAGPIE_ASSERT(!children.empty());
    worker& here = *current_worker();
    if (parent_context.request_pending() || here.fifo() || parent_context.pinned ||
        parent_context.locals != nullptr) [[unlikely]] {
        return launch_slowly(here, children);
    }
    here.reserve_forks(children.size() - 1);  // throws before anything has begun, or not at all
    count_on(children.size());
    for (child* each : children) {
        each->parent = &parent_context;
        each->home = &here;
        each->join = this;
    }
    return run_first(here, children);
}

std::coroutine_handle<> fork_join::run_first(worker& here, std::span<child* const> children) noexcept {
    outer = here.open_join();
    here.set_open_join(this);
    here.push_forks(children.subspan(1));
    // One child leaves nothing for others: it wakes nobody.
    bool const share = children.size() > 1 && here.forks_are_wanted();
    if (share || children[0]->request_pending()) [[unlikely]] {
        return run_first_slowly(here, *children[0], share);
    }
    return here.step_surely_into(*children[0]);
}

std::coroutine_handle<> fork_join::run_first_slowly(worker& here, child& first, bool share) noexcept {
    if (share) {
        here.expose_forks();
    }
    return here.step_into(first);
}

std::coroutine_handle<> fork_join::launch_slowly(worker& here, std::span<child* const> children) {
    if (context->request_pending() && context->shield_depth == 0) {
        if (std::ranges::none_of(children, &child::has_started)) {
            cancelled_ = true;
            return handle;
        }
        adopt(here, *context, children);
        return launch_cancelled(children);
    }
    if (here.fifo() || context->pinned) {
        return launch_queued(here, children);
    }
    here.reserve_forks(children.size() - 1);  // as in launch()
    adopt(here, *context, children);
    return run_first(here, children);
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
    count_on(children.size());
    for (child* each : children) {
        adopt_one(*each, parent_context, here);
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
        if (!is_part_) [[likely]] {
            here.set_open_join(outer);
            return resume_parent(here);
        }
        if (auto const next = static_cast<fork_parts::part&>(*this).passed_milestone(here)) {
            return next;
        }
    }
    // The next child is on top of the fork stack unless it was exposed or stolen. One that is to be cancelled unstarted
    // goes through the main loop: ending it here would recurse, a level for each.
    if (here.charge_quickly()) [[unlikely]] {
        return arrive_charged(here);
    }
    if (work_item* const next = here.pop_fork_of(*this)) [[likely]] {
        return here.step_surely_into(*next);
    }
    return close_and_go_on(here);
}

std::coroutine_handle<> fork_join::arrive_charged(worker& here) noexcept {
    if (!here.charge_slowly(false)) {
        if (work_item* const next = here.pop_fork_of(*this)) {
            return here.step_surely_into(*next);
        }
    }
    return close_and_go_on(here);
}

std::coroutine_handle<> fork_join::close_and_go_on(worker& here) noexcept {
    if (close(here)) {
        return resume_parent(here);
    }
    return std::noop_coroutine();
}

std::coroutine_handle<> fork_join::arrive_closed(worker& here) noexcept {
    // acq_rel: pairs with the other subtractions; the last one sees what every child stored.
    if (pending_.fetch_sub(1, mo_acq_rel) == 1 && all_ended()) {
        return resume_parent(here);
    }
    return std::noop_coroutine();
}

bool fork_join::close(worker& owner) noexcept {
    MAGPIE_ASSERT(owner.open_join() == this);
    owner.set_open_join(outer);
    std::uint32_t const mine = ended_here_ + 1;
    if (!is_part_) [[likely]] {
        context->suspend_forwarding(*this);
    } else {
        static_cast<fork_parts::part&>(*this).interrupted();
    }
    // acq_rel: pairs with the subtractions in arrive(). Not 0: others still run, and one of them may already have
    // brought the parent on; `this` is theirs.
    return pending_.fetch_sub(mine, mo_acq_rel) == mine && all_ended();
}

std::coroutine_handle<> fork_join::resume_parent(worker& here) noexcept {
    if (here.fifo() || context->pinned) [[unlikely]] {
        return resume_parent_slowly(here);
    }
    return here.step_back_into(*this);
}

std::coroutine_handle<> fork_join::resume_parent_slowly(worker& here) noexcept {
    if (context->pinned && context->home != &here) {
        schedule(*this);
        return std::noop_coroutine();
    }
    if (here.fifo()) {
        here.push_quietly(*this);
        return std::noop_coroutine();
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
