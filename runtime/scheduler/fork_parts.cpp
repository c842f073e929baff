#include <magpie/runtime/detail/fork_parts.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace magpie::detail {

bool fork_parts::possible(task_context const& parent) noexcept {
    return !parent.pinned && !current_worker()->fifo();
}

fork_parts::part* fork_parts::take_ended() noexcept {
    if (free_ == nullptr && ended_.load(mo_relaxed) != nullptr) {
        free_ = ended_.exchange(nullptr, mo_acquire);  // pairs with the release in put_ended(): the records are free
    }
    if (free_ == nullptr) {
        return nullptr;
    }
    return std::exchange(free_, free_->next_ended_);
}

std::coroutine_handle<> fork_parts::start(part& filled) {
    MAGPIE_ASSERT(filled.size_ != 0);
    worker& here = *current_worker();
    here.reserve_forks(filled.size_);  // the children but the first, and the maker; throws now, or not at all
    bool const shares = here.may_share();
    bool const held = shares && quick_.load(mo_relaxed);
    filled.handle = whole_.handle;
    filled.context = whole_.context;
    filled.ended_here_ = 0;
    filled.total_ = shares ? std::min(filled.size_, part::milestone) : filled.size_;
    filled.held_ = held;
    filled.pending_.store(filled.size_ + 1, mo_relaxed);
    live_.fetch_add(1, mo_relaxed);
    whole_.context->suspend_forwarding(whole_);
    filled.outer = here.open_join();
    here.set_open_join(&filled);
    if (shares) {
        filled.measured_ = std::chrono::steady_clock::now();
    }
    // Once pushed, the maker may run elsewhere; the part stays, because its first child has not begun.
    return here.step_into(here.push_part(whole_, *filled.newest_, !held));
}

// After this the part is the maker's. True: the maker waits for the rest, this was it, and the caller resumes it.
bool fork_parts::put_ended(part& ended) noexcept {
    part* top = ended_.load(mo_relaxed);
    do {
        ended.next_ended_ = top;
        inject_point();
        // release: pairs with the acquire in take_ended()
    } while (!ended_.compare_exchange_weak(top, &ended, mo_release, mo_relaxed));
    // acq_rel: pairs with the other subtractions; the last one sees what every child stored
    return live_.fetch_sub(1, mo_acq_rel) == 1 && whole_.context->complete(whole_);
}

bool fork_parts::wait_for_rest() noexcept {
    whole_.context->suspend_forwarding(whole_);
    // acq_rel: as in put_ended(). Not 0: who ends the last part resumes us, and may have done so.
    return live_.fetch_sub(1, mo_acq_rel) != 1 || !whole_.context->complete(whole_);
}

std::coroutine_handle<> fork_parts::part::passed_milestone(worker& here) noexcept {
    if (ended_here_ == size_) {
        return ended_inline(here);
    }
    time_point const now = std::chrono::steady_clock::now();
    held_ = now - std::exchange(measured_, now) < quick * milestone;
    if (all_.quick_.load(mo_relaxed) != held_) {
        all_.quick_.store(held_, mo_relaxed);
    }
    if (!held_) {
        here.share_forks();
    }
    total_ = std::min(total_ + milestone, size_);
    return nullptr;
}

// All children ran here, one after the other, and the maker comes next, unless somebody took it or others have to have
// a turn first.
std::coroutine_handle<> fork_parts::part::ended_inline(worker& here) noexcept {
    bool const others_wait = here.charge();
    here.set_open_join(outer);
    work_item& maker = all_.whole_;
    if (all_.put_ended(*this)) {
        return here.step_into(maker);
    }
    // The whole may be gone by now: unless it is found on our own stack, `maker` is only an address.
    if (!others_wait && here.pop_fork(maker)) {
        return here.step_into(maker);
    }
    return std::noop_coroutine();
}

bool fork_join::all_ended() noexcept {
    if (is_part_) [[unlikely]] {
        auto& ended = static_cast<fork_parts::part&>(*this);
        return ended.all_.put_ended(ended);
    }
    return context->complete(*this);
}

}  // namespace magpie::detail
