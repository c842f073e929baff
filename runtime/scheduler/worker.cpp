#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>
#include <magpie/runtime/scheduler/thread_state.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <mutex>
#include <utility>

namespace magpie::detail {

namespace {

constexpr std::size_t injected_per_look = 32;
constexpr std::size_t forks_per_exposure = 8;  // twice as many as thieves leave to their owner (worker_idle.cpp)

std::uint64_t seed_for(config const& settings, unsigned index) noexcept {
    return settings.seed * 0x9e3779b97f4a7c15U + index + 1;
}

} // namespace

worker::worker(scheduler& shared, unsigned index, std::unique_ptr<driver> loop)
    : shared_(shared), idle_(shared.idle), index_(index), fifo_(shared.simulated()),
      may_steal_(shared.settings().steal && !shared.simulated() && shared.size() > 1),
      ready_(shared.settings().seed), loop_(std::move(loop)), random_(seed_for(shared.settings(), index)),
      order_(shared.nodes_of_workers(), index), glances_(std::make_unique<glance[]>(shared.size() + 1)),
      next_deadline_(timer_heap::no_deadline) {
    renew_budget();
}

worker::~worker() = default;

worker::run_end worker::run(atomic<bool> const& stop) {
    on_worker const scope(*this);
    while (!stop.load(mo_acquire)) {  // acquire: pairs with the release of whoever sets it
        if (work_item* const item = take()) {
            turn(*item);
        } else if (work_item* const found = search()) {
            turn(*found);
        } else if (!fifo_) {
            sleep(stop);
        } else if (!advance_clock(stop)) {
            return run_end::stuck;
        }
    }
    return run_end::stopped;
}

std::size_t worker::run_ready(std::size_t budget) {
    on_worker const scope(*this);
    look_around();
    std::size_t turns = 0;
    for (; turns < budget; ++turns) {
        work_item* const item = take();
        if (item == nullptr) {
            break;
        }
        turn(*item);
    }
    loop_->poll();
    return turns;
}

bool worker::is_ready() const noexcept {
    return !run_queue_.empty() || !pinned_.empty() || !forks_.empty() || !pinned_inbox_.empty() || !placed_.empty() ||
           !shared_.injected.empty() || loop_->has_work();
}

time_point worker::next_deadline() const noexcept {
    std::int64_t const deadline = next_deadline_.load(mo_relaxed);
    return deadline == timer_heap::no_deadline ? time_point::max() : time_point(duration(deadline));
}

void worker::turn(work_item& item) noexcept {
    found_work();
    counters_.tasks_resumed.add();
    beat_.add();
    turn_of_.store(item.context, mo_relaxed);
    step_into(item).resume();
    close_joins();
    set_current(nullptr);
}

// ---------------------------------------------------------------------------------------------- taking work

work_item* worker::take() noexcept {
    if (fifo_) {
        return take_fifo();
    }
    if (budget_is_used_up() && look_is_due()) {
        look_around();
    }
    if (queue_credit_ > 0) {
        --queue_credit_;
        if (fork_due_) [[unlikely]] {
            fork_due_ = false;
            if (work_item* const forked = pop_fork()) {
                return forked;  // counts as one that ran: if its turn is a whole interval, the queues come next
            }
        }
        if (work_item* const item = take_queued()) {
            return item;
        }
        queue_credit_ = 0;
    }
    if (work_item* const forked = pop_fork()) {
        return forked;
    }
    return take_queued();
}

work_item* worker::pop_fork() noexcept {
    work_item* const item = forks_.empty() ? nullptr : forks_.pop();
    forks_ran_ = forks_ran_ || item != nullptr;
    return item;
}

work_item& worker::push_part(work_item& maker, work_item& last, bool share) noexcept {
    work_item* each = &last;
    forks_.put(&maker);
    while (work_item* const before = each->next) {  // read first: once pushed, the item may be claimed, and linked anew
        forks_.put(each);
        each = before;
    }
    if (share) {
        share_forks();
    }
    return *each;
}

work_item* worker::take_queued() noexcept {
    pinned_next_ = !pinned_next_;
    if (pinned_next_) {
        if (work_item* const item = pinned_.pop_front()) {
            return item;
        }
        return run_queue_.owner().pop();
    }
    if (work_item* const item = run_queue_.owner().pop()) {
        return item;
    }
    return pinned_.pop_front();
}

work_item* worker::take_fifo() noexcept {
    if (ready_.round_over()) {
        take_in_sent();
        intrusive_queue<work_item> arrived;
        shared_.injected.pop_batch(arrived, std::numeric_limits<std::size_t>::max());
        while (work_item* const item = arrived.pop_front()) {
            ready_.push(item);
        }
        fire_timers();
        ready_.begin_round();
        if (ready_.round_over()) {
            return nullptr;
        }
    }
    return ready_.pop();
}

void worker::renew_budget() noexcept {
    look_due_at_ = beat_.value.load(mo_relaxed) + shared_.settings().event_interval;
    fork_request_.due_at(look_due_at_);
}

// False: it is sooner than that, since a thief has asked.
bool worker::look_is_due() noexcept {
    if (beat_.value.load(mo_relaxed) >= look_due_at_) {
        return true;
    }
    fork_request_.due_at(look_due_at_);
    answer_thieves();
    return false;
}

void worker::answer_thieves() noexcept {
    if (!forks_.empty() && (open_ == nullptr || !open_->holds_back(forks_.size())) && forks_are_wanted()) {
        expose_forks();
    }
}

void worker::look_around() noexcept {
    renew_budget();
    // The other half is the forks': neither can starve the other.
    queue_credit_ = static_cast<std::int32_t>((shared_.settings().event_interval + 1) / 2);
    fork_due_ = !forks_ran_ && !forks_.empty();
    forks_ran_ = false;
    take_in_sent();
    loop_->poll();
    fire_timers();
    take_injected();
    (void)rescue_others();
    forks_seen_.store(forks_.size(), mo_relaxed);
    pinned_seen_.store(pinned_.size(), mo_relaxed);
    if (!forks_.empty()) {
        // Pushes onto the fork stack do not fence, so that one may have missed a worker that was just going to sleep.
        full_fence();
        answer_thieves();
    }
}

void worker::take_in_sent() noexcept {
    if (pinned_inbox_.empty() && placed_.empty()) {
        return;
    }
    intrusive_queue<work_item> arrived;
    pinned_inbox_.pop_batch(arrived, std::numeric_limits<std::size_t>::max());
    std::size_t const placed = placed_.pop_batch(arrived, std::numeric_limits<std::size_t>::max());
    while (work_item* const item = arrived.pop_front()) {
        push_quietly(*item);
    }
    if (placed != 0) {
        counters_.tasks_placed.add(placed);
        // From now on they may be stolen, and nobody has been told; one that is run at once is nobody's business.
        if (may_steal_ && (run_queue_.size() > 1 || !pinned_.empty() || fork_due_)) {
            shared_.wake_one();
        }
    }
}

void worker::take_injected() noexcept {
    std::size_t const waiting = shared_.injected.size();
    if (waiting == 0) {
        overflowed_ = false;
        return;
    }
    intrusive_queue<work_item> taken;
    stall_monitor const* const monitor = shared_.monitor();
    unsigned const stuck = monitor != nullptr ? std::min(monitor->stuck(), shared_.size() - 1) : 0;  // they take nothing
    std::size_t share = std::clamp<std::size_t>(waiting / (shared_.size() - stuck), 1, injected_per_look);
    if (overflowed_) {  // if turns are long, fewer than these run until the next look: they must not push out the older
        share = std::min<std::size_t>(share, run_queue_.owner().room());
    }
    shared_.injected.pop_batch(taken, share);
    while (work_item* const item = taken.pop_front()) {
        push_local(*item);
    }
    // For a moment the items were in no queue, where a searcher that was woken for them found nothing: who moves work is
    // a pusher too, unless it runs the work at once.
    if (waiting > share || run_queue_.size() > 1 || !pinned_.empty() || fork_due_) {
        shared_.wake_one();
    }
}

bool worker::charge_slowly(bool forks_count) noexcept {
    if (fifo_) {
        renew_budget();
        return !ready_.empty();
    }
    if (!look_is_due()) {
        return false;
    }
    look_around();
    bool const others_wait = !pinned_.empty() || !run_queue_.empty() || (forks_count && !forks_.empty());
    if (others_wait) {
        counters_.budget_exhausted.add();
    }
    return others_wait;
}

// ---------------------------------------------------------------------------------------------- queueing work

void worker::push_quietly(work_item& item) noexcept {
    if (fifo_) {
        ready_.push(&item);
        return;
    }
    if (item.context->pinned) {
        pinned_.push_back(&item);
        return;
    }
    if (overflowed_ && run_queue_.size() >= run_queue_capacity / 2) [[unlikely]] {
        push_behind_overflow(item);
        return;
    }
    push_local(item);
}

// Half of a full run queue goes to the back of the inject queue, and comes back a few items per look. If what is pushed
// meanwhile filled the run queue again, its older half would go there again before it had run: without end, for an unlucky
// item. So once the run queue is half full, what is pushed lines up behind those.
void worker::push_behind_overflow(work_item& item) noexcept {
    (void)shared_.injected.push(&item);  // never closed: what is queued runs
    shared_.wake_one();
}

void worker::push_local(work_item& item) noexcept {
    intrusive_queue<work_item> overflow;
    if (!run_queue_.owner().push_or_overflow(&item, overflow)) {
        counters_.overflows.add();
        overflowed_ = true;
        (void)shared_.injected.push_batch(std::move(overflow));  // as above
        shared_.wake_one();
    }
}

void worker::push(work_item& item) noexcept {
    bool const stays = item.context->pinned;  // once queued, the item may have run, and be gone
    push_quietly(item);
    if (may_steal_ && !stays) {
        shared_.wake_one();
    }
}

void worker::post_pinned(work_item& item) noexcept {
    (void)pinned_inbox_.push(&item);  // never closed: a pinned task's worker outlives it
    shared_.wake(index_);
}

void worker::place(work_item& item) noexcept {
    (void)placed_.push(&item);  // never closed: a worker outlives what it is sent
    if (current_worker() != this) {
        shared_.wake(index_);
    }
}

std::size_t worker::load() const noexcept {
    return loop_->waiting() + run_queue_.size() + placed_.size() + pinned_inbox_.size();
}

// The oldest forks are the largest parts of the work: thieves get those, a few at a time. What they do not take, this
// worker begins in turn with what it is at, and each that has been begun keeps its frames. But there is one for everybody
// who is idle: of few children each may be a long computation, during which nothing more is exposed.
void worker::expose_forks() noexcept {
    fork_request_.answered();
    if (!may_steal_) {
        return;
    }
    auto& queue = run_queue_.owner();
    intrusive_queue<work_item> oldest;
    std::size_t const idle = idle_.parked() + idle_.searching();
    std::size_t const share = std::max(std::min((forks_.size() + 1) / 2, forks_per_exposure), idle);
    forks_.take_oldest(std::min<std::size_t>(share, queue.room()), oldest);
    queue.push_batch(oldest, oldest.size());
    MAGPIE_ASSERT(oldest.empty());  // there was room, and only the owner fills it
    shared_.wake_one();
}

void worker::close_joins() noexcept {
    while (open_ != nullptr) {
        fork_join& join = *open_;
        if (join.close(*this)) {
            push(join);
        }
    }
}

void worker::run_eagerly(task_context& task) noexcept {
    task_context* const before = current();
    fork_join* const joins = std::exchange(open_, nullptr);
    step_into(task).resume();
    close_joins();
    open_ = joins;
    set_current(before);
}

} // namespace magpie::detail
