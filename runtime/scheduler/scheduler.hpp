#pragma once

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/scheduler/blocking_pool.hpp>
#include <magpie/runtime/scheduler/external_drive.hpp>
#include <magpie/runtime/scheduler/idle_set.hpp>
#include <magpie/runtime/scheduler/inject_queue.hpp>
#include <magpie/runtime/scheduler/limit_slot.hpp>
#include <magpie/runtime/scheduler/outside_wait.hpp>
#include <magpie/runtime/scheduler/post_queue.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>
#include <magpie/runtime/scheduler/topology.hpp>
#include <magpie/runtime/task_info.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace magpie::detail {

class worker;

// Makes the event loop of worker `index`. Given by the composition root, runtime/runtime.cpp.
using driver_factory = std::function<std::unique_ptr<driver>(config const&, unsigned index)>;

// Counted reference to a spawned task, for the runtime itself: not a handle.
class record_ref {
public:
    explicit record_ref(spawned_base& task) noexcept : task_(&task) { task.retain(); }
    record_ref(record_ref&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    record_ref& operator=(record_ref&&) = delete;
    ~record_ref() {
        if (task_ != nullptr) {
            task_->release();
        }
    }
    spawned_base* operator->() const noexcept { return task_; }
    spawned_base& operator*() const noexcept { return *task_; }

private:
    spawned_base* task_;
};

// All workers, and what they share. Outlives every worker and every spawned task's end; handles may outlive it.
class scheduler {
public:
    // `root` stands before /sys, for tests of machines with several NUMA nodes.
    scheduler(config settings, driver_factory const& make_driver, std::string const& root = "");
    scheduler(scheduler const&) = delete;
    scheduler& operator=(scheduler const&) = delete;
    // All tasks must have ended: see drain().
    ~scheduler();
    // on_done() on a task that has ended is refused from now on; what it has brought before is a task that runs.
    void leave() noexcept;

    config const& settings() const noexcept { return settings_; }
    // The node of each worker; empty if they have none, or all the same (topology.hpp).
    std::span<std::uint16_t const> nodes_of_workers() const noexcept { return places_.nodes; }
    unsigned size() const noexcept { return static_cast<unsigned>(registry_.size()); }  // also while they are made
    // With the spare one, if it has ever been lent.
    unsigned size_with_spare() const noexcept { return size() + (spare() != nullptr ? 1 : 0); }
    worker& at(unsigned index) noexcept { return index < size() ? *workers_[index] : *spare(); }
    // No threads: whoever waits from outside drives the only worker.
    bool driven_by_caller() const noexcept { return simulated_ || external_ != nullptr; }
    bool simulated() const noexcept { return simulated_; }

    // Queues an item from a thread that is no worker of this scheduler; its task keeps the scheduler alive until then.
    void inject(work_item& item) noexcept;
    // Wakes one worker if some are asleep and nobody is looking for work. After work was published.
    void wake_one() noexcept;
    void wake(unsigned index) noexcept;

    enum class admission : bool { refusable, internal };
    // Registers a spawned task and gives it an id, an age and a home (the current worker,
    // or any, unless one is given); the caller queues it. Throws usage_error if the
    // runtime is shutting down and the task may be refused (the caller still owns the record then).
    void admit(spawned_base& task, admission kind, worker* home = nullptr);
    // The task has ended: it leaves the registry.
    void dismiss(spawned_base& task) noexcept;
    void count_unstarted(spawned_base& task) noexcept;
    // Never the same again; from 1, in the order of asking but for those that workers take for their own tasks.
    std::uint64_t next_id() noexcept { return next_id_.fetch_add(1, mo_relaxed); }

    // Blocks a foreign thread until `task` has ended; calls `on_interrupt` in this thread after each wait.interrupt().
    // Under the simulated clock the thread runs the tasks meanwhile, and throws deadlock_error if none can ever run.
    void wait_for(spawned_base& task, outside_wait& wait, std::function<void()> const& on_interrupt);

    // Refuses spawns from now on.
    void refuse_spawns() noexcept { refusing_.store(true, mo_seq_cst); }
    bool refusing_spawns() const noexcept { return refusing_.load(mo_relaxed); }
    // Requests cancellation of every spawned task.
    void cancel_all();
    // Waits until all have ended, or until a point in real time. True: all have. Under the simulated clock the caller
    // runs them, and false means that some never will.
    bool drain(std::chrono::steady_clock::time_point until);
    std::vector<task_info> tasks();
    // Id, name and spawn site of the live spawned task whose context this is, which is only compared: it may be
    // gone. Empty if there is none such, or if there are so many tasks that looking would hold others up.
    task_info find_task(task_context const* context);

    // Drive external only (null otherwise).
    external_drive* external() noexcept { return external_.get(); }
    std::size_t run_ready(std::size_t budget);

    metrics snapshot() const;

    time_point now() const noexcept;
    void set_simulated_now(time_point t) noexcept { simulated_now_.store(t.time_since_epoch().count(), mo_relaxed); }

    // Tells the hook, or stderr. Never throws. Not under any lock.
    void report(hook const& to, task_context* task, std::exception_ptr error, std::string_view what) const noexcept;

    std::shared_ptr<outside_work> const& outside() const noexcept { return outside_; }
    void unpark_simulated() noexcept;

    // Runs the function on some worker after those posted before. Any thread.
    void post(std::unique_ptr<posted> function) noexcept;
    std::shared_ptr<hooks const> const& shared_hooks() const noexcept { return hooks_; }

    blocking_pool& blocking() noexcept { return blocking_; }
    limit_slot& limits() noexcept { return limits_; }
    bool stopping() const noexcept { return stopping_.load(mo_acquire); }

    // Shared queues, for the workers.
    inject_queue<work_item> injected;
    idle_set idle;
    // All workers are stuck, and something waits: one more runs until one of them is free again, or nothing is left to
    // do. From the stall monitor only. Does nothing if the program wants none, or there is no thread or ring to be had.
    void lend() noexcept;
    // A worker that tasks can be pinned to: the given one, or another if that is the spare.
    worker& home_for(worker& here) noexcept;
    // It has done enough; it finishes its turn. From the stall monitor only.
    void stop_lending() noexcept;
    worker* spare() const noexcept { return spare_.load(mo_acquire); }  // pairs with the release in lend()

    // Null: nobody is ever called stuck.
    stall_monitor* monitor() noexcept { return monitor_.get(); }
    bool watches_for_stalls() const noexcept { return monitor_ != nullptr; }

private:
    static constexpr unsigned ids_at_a_time = 16;
    struct alignas(cache_line_size) registry_shard {
        mutable spin_lock lock;
        intrusive_list<spawned_base, &spawned_base::registered> tasks;
        std::size_t count = 0;
        std::uint64_t spawned = 0;
        std::uint64_t next_id = 0;  // of those that the worker has taken
        unsigned ids_left = 0;
    };

    // A thread that is no worker, while it queues something here. Once that is queued the task may end, and nothing but
    // this keeps ~scheduler() from going on; nobody can begin a visit then. That it has begun is seen by who has seen the
    // end of the task.
    class visit {
    public:
        explicit visit(scheduler& where) noexcept : where_(where) { where.visitors_.fetch_add(1, mo_relaxed); }
        visit(visit const&) = delete;
        visit& operator=(visit const&) = delete;
        ~visit() { where_.visitors_.fetch_sub(1, mo_release); }  // pairs with the acquire in ~scheduler()

    private:
        scheduler& where_;
    };

    scheduler(config&& settings, driver_factory const& make_driver, worker_places&& places);
    std::uint64_t next_id_of(registry_shard& shard) noexcept;
    task<> run_posted();
    void serve(unsigned index);
    void stop() noexcept;
    // No task is alive.
    bool deserted() const noexcept;
    std::vector<record_ref> all_tasks();
    void drive_until_over(spawned_base& task, outside_wait& wait, std::function<void()> const& on_interrupt);
    bool drive_until_drained(std::chrono::steady_clock::time_point until);
    std::string deadlock_report();

    unsigned near_node() const noexcept;

    config settings_;
    limit_slot limits_;
    worker_places places_;
    bool simulated_;
    std::uint32_t serial_;
    std::shared_ptr<hooks const> hooks_;
    post_queue posted_;
    std::shared_ptr<outside_work> outside_;
    std::vector<registry_shard> registry_;
    std::vector<std::unique_ptr<worker>> workers_;
    std::vector<std::thread> threads_;
    driver_factory make_driver_;  // for the spare
    std::unique_ptr<worker> spare_owner_;
    std::thread spare_thread_;
    atomic<worker*> spare_{nullptr};  // made when it is first lent
    unsigned lending_failed_ = 0;     // looks to let pass before the next attempt: the monitor's
    std::unique_ptr<external_drive> external_;
    std::unique_ptr<stall_monitor> monitor_;
    blocking_pool blocking_;
    atomic<std::int64_t> simulated_now_{0};
    atomic<std::uint64_t> unstarted_total_{0};
    // Written for each task that is spawned; what comes behind it is read for each turn of a worker.
    alignas(cache_line_size) atomic<std::uint64_t> next_id_{1};
    atomic<unsigned> next_home_{0};
    alignas(cache_line_size) atomic<unsigned> visitors_{0};
    alignas(cache_line_size) atomic<bool> refusing_{false};
    atomic<bool> draining_{false};
    atomic<bool> stopping_{false};
    atomic<bool> somebody_left_{false};  // a task ended while draining: whoever drives looks at the registry
    std::mutex drive_mutex_;             // no threads of our own: one foreign thread at a time is the worker
    std::mutex drain_mutex_;
    std::condition_variable drained_;
};

} // namespace magpie::detail
