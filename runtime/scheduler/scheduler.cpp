#include <magpie/runtime/scheduler/scheduler.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/scheduler/live_schedulers.hpp>
#include <magpie/runtime/scheduler/tell_hook.hpp>
#include <magpie/runtime/scheduler/thread_state.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>

namespace magpie::detail {

namespace {

// A few milliseconds exact, at a quarter of the price of now(): good enough for a task's age.
time_point coarse_now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

} // namespace

scheduler::scheduler(config settings, driver_factory const& make_driver, std::string const& root)
    : scheduler(std::move(settings), make_driver, place_workers(settings, allowed_cpus(), root)) {}

scheduler::scheduler(config&& settings, driver_factory const& make_driver, worker_places&& places)
    : idle(places.count, places.nodes), settings_(std::move(settings)), limits_(settings_.limits),
      places_(std::move(places)),
      simulated_(settings_.clock == clock_kind::simulated),
      serial_(live_schedulers::enter(*this)), hooks_(std::make_shared<hooks const>(settings_.hooks)),
      outside_(std::make_shared<outside_work>(*this)), registry_(places_.count), make_driver_(make_driver),
      blocking_(settings_.blocking_threads, settings_.name, [this] { outside_->end(); }) {
    unsigned const count = places_.count;
    for (unsigned i = 0; i < count; ++i) {
        workers_.push_back(std::make_unique<worker>(*this, i, make_driver(settings_, i)));
    }
    if (settings_.drive == drive_kind::external) {
        external_ = std::make_unique<external_drive>(workers_[0]->loop());
    }
    if (driven_by_caller()) {
        return;
    }
    if (settings_.rescue && settings_.stall_threshold > duration::zero()) {
        monitor_ = std::make_unique<stall_monitor>(*this);
    }
    try {
        if (monitor_ != nullptr) {
            monitor_->start();
        }
        for (unsigned i = 0; i < count; ++i) {
            threads_.emplace_back([this, i] { serve(i); });
        }
    } catch (...) {
        stop();
        throw;
    }
}

scheduler::~scheduler() {
    leave();
    outside_->orphan();
    stop();
    while (visitors_.load(mo_acquire) != 0) {  // pairs with the release in ~visit()
        yield_thread();
    }
    if (!deserted()) {
        limits_.abandon();
    }
}

void scheduler::leave() noexcept {
    live_schedulers::leave(serial_);
}

void scheduler::serve(unsigned index) {
    pthread_setname_np(pthread_self(), (settings_.name + "/" + std::to_string(index)).substr(0, 15).c_str());
    set_frame_limit(settings_.frame_cache);
    if (!places_.cpus.empty()) {
        bind_to_cpu(places_.cpus[index]);
    }
    workers_[index]->run(stopping_);
    workers_[index]->loop().retire();
}

void scheduler::stop() noexcept {
    if (monitor_ != nullptr) {
        monitor_->stop();
    }
    stopping_.store(true, mo_release);  // pairs with the acquire in worker::run()
    for (auto& each : workers_) {
        each->loop().unpark();
    }
    if (spare() != nullptr) {
        spare()->loop().unpark();
    }
    for (auto& each : threads_) {
        each.join();
    }
    threads_.clear();
    if (spare_thread_.joinable()) {
        spare_thread_.join();
    }
}

// ---------------------------------------------------------------------------------------------- queueing, waking

void scheduler::inject(work_item& item) noexcept {
    visit const as_long_as_this(*this);
    if (item.context->pinned) {
        item.context->home->post_pinned(item);
        return;
    }
    (void)injected.push(&item);  // never closed: what is queued runs
    inject_point();              // and its task may end
    if (simulated_) {
        workers_[0]->loop().unpark();
        return;
    }
    if (external_ != nullptr) {
        external_->signal();
    }
    wake_one();  // with external drive: somebody may be in block_on()
}

// Of the calling thread, a worker's or not.
unsigned scheduler::near_node() const noexcept {
    return places_.nodes.empty() ? 0 : places_.where.node_of(current_cpu());
}

void scheduler::wake_one() noexcept {
    full_fence();  // the pusher's fence of idle_set's proof: orders the work before the look at who is parked
    if (auto const index = idle.worker_to_wake(near_node())) {
        workers_[*index]->loop().unpark();
    }
}

void scheduler::wake(unsigned index) noexcept {
    if (external_ != nullptr) {
        external_->signal();
    }
    if (simulated_ || idle.claim(index)) {
        workers_[index]->loop().unpark();
    }
}

// ---------------------------------------------------------------------------------------------- tasks

void scheduler::admit(spawned_base& task, admission kind, worker* home) {
    worker* const here = home != nullptr ? home : current_worker();
    bool const local = here != nullptr && &here->shared() == this && here->index() < size();  // not the spare
    unsigned const index = local ? here->index() : next_home_.fetch_add(1, mo_relaxed) % size();
    task.home = workers_[index].get();
    task.shard = static_cast<std::uint16_t>(index);
    task.internal = kind == admission::internal;
    task.runtime_serial = serial_;
    task.born = simulated_ ? now() : coarse_now();
    registry_shard& shard = registry_[index];
    {
        std::lock_guard const lock(shard.lock);
        // Under the lock: cancel_all() comes after refuse_spawns() and takes it too, so that a task is either refused
        // or found.
        if (kind == admission::refusable && refusing_.load(mo_relaxed)) {
            unstarted_total_.fetch_add(1, mo_relaxed);
            throw usage_error("spawn() was called on a runtime that is shutting down; the task was not started");
        }
        task.id = local && !simulated_ ? next_id_of(shard) : next_id();
        shard.tasks.push_back(&task);
        ++shard.count;
        ++shard.spawned;
    }
}

// Under the shard's lock. A worker takes a few ids at a time: what all of them write is dear.
std::uint64_t scheduler::next_id_of(registry_shard& shard) noexcept {
    if (shard.ids_left == 0) {
        shard.next_id = next_id_.fetch_add(ids_at_a_time, mo_relaxed);
        shard.ids_left = ids_at_a_time;
    }
    --shard.ids_left;
    return shard.next_id++;
}

void scheduler::dismiss(spawned_base& task) noexcept {
    registry_shard& shard = registry_[task.shard];
    std::lock_guard const lock(shard.lock);
    shard.tasks.erase(&task);
    --shard.count;
    // Read under the lock, which drain() takes after setting it: if it is not seen here, drain() counts us as gone.
    bool const somebody_waits = draining_.load(mo_relaxed);
    if (somebody_waits) {
        somebody_left_.store(true, mo_release);  // pairs with the acquire in worker::run()
        drained_.notify_all();
    }
}

// A debug build names the first few: such a task is often one whose handle went too early.
void scheduler::count_unstarted([[maybe_unused]] spawned_base& task) noexcept {
    [[maybe_unused]] std::uint64_t const before = unstarted_total_.fetch_add(1, mo_relaxed);
#if !defined(NDEBUG)
    constexpr std::uint64_t named = 10;
    if (before < named && !task.internal) {
        report({}, &task, nullptr, "a task was cancelled before it began");
    }
#endif
}

// A task that ends may have spawned another one into a shard that was looked at before. So it looks twice: if nothing was
// spawned in between, all shards were empty at the moment between the looks.
bool scheduler::deserted() const noexcept {
    std::uint64_t spawned = 0;
    for (auto const& shard : registry_) {
        std::lock_guard const lock(shard.lock);
        if (shard.count != 0) {
            return false;
        }
        spawned += shard.spawned;
    }
    for (auto const& shard : registry_) {
        std::lock_guard const lock(shard.lock);
        spawned -= shard.spawned;
    }
    return spawned == 0;
}

// Takes a reference to every live task first: what is done with one may end others.
std::vector<record_ref> scheduler::all_tasks() {
    std::vector<record_ref> found;
    for (auto& shard : registry_) {
        std::size_t expected = 0;
        {
            std::lock_guard const lock(shard.lock);
            expected = shard.count;
        }
        found.reserve(found.size() + expected + 16);  // not under a spin lock
        std::lock_guard const lock(shard.lock);
        for (spawned_base* each = shard.tasks.front(); each != nullptr; each = shard.tasks.next(each)) {
            found.emplace_back(*each);
        }
    }
    return found;
}

void scheduler::cancel_all() {
    for (auto const& each : all_tasks()) {
        if (!each->internal) {
            each->request_cancel(request_origin::external);
        }
    }
}

task_info scheduler::find_task(task_context const* context) {
    constexpr std::size_t too_many = 4096;  // to walk under a spin lock
    std::optional<record_ref> found;
    for (auto& shard : registry_) {
        std::lock_guard const lock(shard.lock);
        spawned_base* each = shard.count > too_many ? nullptr : shard.tasks.front();
        while (each != nullptr && each != context) {
            each = shard.tasks.next(each);
        }
        if (each != nullptr) {
            found.emplace(*each);
            break;
        }
    }
    task_info info;
    if (found) {
        info.id = (*found)->id;
        info.name = name_of(**found);
        info.where = (*found)->where;
    }
    return info;
}

std::vector<task_info> scheduler::tasks() {
    std::vector<task_info> infos;
    for (auto const& each : all_tasks()) {
        if (each->ended()) {
            continue;
        }
        task_info info;
        info.id = each->id;
        info.name = name_of(*each);
        info.where = each->where;
        info.awaits = each->describe_wait();
        info.state = !info.awaits.empty() ? task_state::suspended
                     : each->has_started() ? task_state::running
                                           : task_state::queued;
        info.age = std::max(duration::zero(), now() - each->born);
        info.cancelling = each->cancel_count();
        infos.push_back(std::move(info));
    }
    std::ranges::sort(infos, {}, &task_info::id);
    return infos;
}

metrics scheduler::snapshot() const {
    metrics m;
    for (auto const& each : workers_) {
        m.workers.push_back(each->look());
    }
    if (worker const* const extra = spare()) {
        m.workers.push_back(extra->look());
    }
    for (auto const& shard : registry_) {
        std::lock_guard const lock(shard.lock);
        m.tasks_spawned += shard.spawned;
        m.tasks_live += shard.count;
    }
    m.tasks_destroyed_unstarted = unstarted_total_.load(mo_relaxed);
    m.inject_queue = injected.size();
    if (monitor_ != nullptr) {
        auto const seen = monitor_->look();
        m.stalls = seen.stalls;
        m.longest_stall = seen.longest;
    }
    auto const pool = blocking_.look();
    m.blocking_threads = pool.threads;
    m.blocking_busy = pool.busy;
    m.blocking_queue = pool.queued;
    m.limits = limits_.look();
    return m;
}

// ---------------------------------------------------------------------------------------------- posted functions

void scheduler::post(std::unique_ptr<posted> function) noexcept {
    if (!posted_.add(std::move(function))) {
        return;
    }
    try {
        spawn_internal(*this, run_posted());
    } catch (...) {
        posted_.no_drainer();  // no memory: whoever posts next tries again
    }
}

task<> scheduler::run_posted() {
    while (std::unique_ptr<posted> next = posted_.take()) {
        try {
            locals_scope const as_registered(next->locals.get());
            next->fn();
        } catch (...) {
            report(settings_.hooks.on_unhandled, nullptr, std::current_exception(), next->context);
        }
        if (budget_exhausted()) {
            co_await this_task::yield();
        }
    }
}

time_point scheduler::now() const noexcept {
    return simulated_ ? time_point(duration(simulated_now_.load(mo_relaxed))) : std::chrono::steady_clock::now();
}

// ---------------------------------------------------------------------------------------------- reports

void scheduler::report(hook const& to, task_context* task, std::exception_ptr error,
                       std::string_view what) const noexcept {
    try {
        event_info info;
        info.error = std::move(error);
        info.context = what;
        std::string name;
        if (task != nullptr) {
            info.id = id_of(*task);
            name = name_of(*task);
            info.name = name;
            if (task->is_spawned) {
                auto const& record = static_cast<spawned_base const&>(*task);
                info.where = record.where;
                info.age = now() - record.born;
            }
        }
        tell(to, info);
    } catch (...) {
        std::fputs("magpie: no memory to report an error\n", stderr);
    }
}

} // namespace magpie::detail
