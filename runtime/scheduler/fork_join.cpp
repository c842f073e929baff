#include <magpie/runtime/detail/fork_join.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/fork_parts.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>
#include <vector>

namespace magpie::detail {

namespace {

// Children of this task do not simply run here, one after the other.
bool must_launch_slowly(worker const& here, task_context const& parent) noexcept {
    return parent.request_pending() || here.fifo() || parent.pinned || parent.locals != nullptr;
}

}  // namespace

// The usual ways through launch() and arrive(), which scheduler/current.cpp begins with the current worker, call nothing,
// and end in a tail call where they are left: so hardly a register has to be saved.
std::coroutine_handle<> fork_join::launch_on(std::coroutine_handle<> parent, task_context& parent_context, child& last,
                                             std::size_t count, worker& here) {
    handle = parent;
    context = &parent_context;
    if (must_launch_slowly(here, parent_context) || !here.has_room_for_forks(count - 1)) [[unlikely]] {
        return launch_slowly(here, last, count);
    }
    return run_inline(here, last, count);
}

// All but the first go onto the fork stack, the last one deepest.
inline std::coroutine_handle<> fork_join::run_inline(worker& here, child& last, std::size_t count) noexcept {
    task_context& parent_context = *context;
    count_on(count);
    goes_on_here_ = true;
    outer = here.open_join();
    here.set_open_join(this);
    child* each = &last;
    while (work_item* const before = each->next) {  // read first: once pushed, the child may be claimed, and linked anew
        adopt_unpinned(*each, parent_context, here);
        here.push_fork(*each);
        each = static_cast<child*>(before);
    }
    adopt_unpinned(*each, parent_context, here);
    // One child leaves nothing for others: it wakes nobody.
    bool const share = count > 1 && here.forks_are_wanted();
    if (share || each->request_pending()) [[unlikely]] {
        return run_first_slowly(here, *each, share);
    }
    return here.step_surely_into(*each);
}

std::coroutine_handle<> fork_join::run_first_slowly(worker& here, child& first, bool share) noexcept {
    if (share) {
        here.expose_forks();
    }
    return here.step_into(first);
}

std::coroutine_handle<> fork_join::launch_slowly(worker& here, child& last, std::size_t count) {
    bool const is_requested = context->request_pending() && context->shield_depth == 0;
    if (is_requested || here.fifo() || context->pinned) {
        std::vector<child*, recycling_allocator<child*>> children(count);
        work_item* each = &last;
        for (std::size_t i = count; i != 0; --i) {
            children[i - 1] = static_cast<child*>(each);
            each = each->next;
        }
        return is_requested ? launch_cancelled(here, children) : launch_queued(here, children);
    }
    here.reserve_forks(count - 1);  // throws before anything has begun, or not at all
    if (context->locals != nullptr) {
        for (work_item* each = &last; each != nullptr; each = each->next) {
            lend_locals(*context, static_cast<child&>(*each));
        }
    }
    return run_inline(here, last, count);
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
        if (parent_context.locals != nullptr) [[unlikely]] {
            lend_locals(parent_context, *each);
        }
    }
}

// Never open: the request is passed on to all children before the first of them can run.
std::coroutine_handle<> fork_join::launch_cancelled(worker& here, std::span<child* const> children) noexcept {
    if (std::ranges::none_of(children, &child::has_started)) {
        cancelled_ = true;
        return handle;
    }
    adopt(here, *context, children);
    context->suspend_forwarding(*this);
    for (child* each : children) {
        schedule(*each);
    }
    // acq_rel: pairs with the subtractions in arrive()
    if (pending_.fetch_sub(1, mo_acq_rel) == 1 && context->complete(*this)) {
        return resume_parent(here);
    }
    return std::noop_coroutine();
}

std::coroutine_handle<> fork_join::arrive_on(worker& here) noexcept {
    if (here.open_join() != this) [[unlikely]] {
        return arrive_closed(here);
    }
    if (++ended_here_ == total_) {
        if (goes_on_here_) [[likely]] {
            here.set_open_join(outer);
            return here.step_back_into(*this);
        }
        return arrive_last_slowly(here);
    }
    if (here.charge_quickly()) [[unlikely]] {
        return arrive_charged(here);
    }
    if (child* const next = here.pop_fork_plainly(*this)) [[likely]] {
        return here.step_surely_into(*next);
    }
    return go_on_slowly(here);
}

std::coroutine_handle<> fork_join::arrive_last_slowly(worker& here) noexcept {
    if (!is_part_) {
        here.set_open_join(outer);
        return resume_parent(here);
    }
    if (auto const next = static_cast<fork_parts::part&>(*this).passed_milestone(here)) {
        return next;
    }
    return here.charge_quickly() ? arrive_charged(here) : go_on_slowly(here);
}

std::coroutine_handle<> fork_join::arrive_charged(worker& here) noexcept {
    return here.charge_slowly(false) ? close_and_go_on(here) : go_on_slowly(here);
}

// The next child is on top of the fork stack unless it was exposed or stolen. One that is to be cancelled unstarted
// goes through the main loop: ending it here would recurse, a level for each.
std::coroutine_handle<> fork_join::go_on_slowly(worker& here) noexcept {
    if (child* const next = here.pop_fork_of(*this)) {
        return here.step_surely_into(*next);
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
        if (held_) {
            owner.share_forks();  // whoever has asked meanwhile was not answered
        }
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
