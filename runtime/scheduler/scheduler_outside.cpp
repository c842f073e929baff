// How threads that are no workers wait for tasks, and run them where the runtime has no threads of its own.

#include <magpie/runtime/scheduler/scheduler.hpp>

#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>

namespace magpie::detail {

namespace {
constexpr std::size_t turns_per_drive = 1024;
} // namespace

bool scheduler::drain(std::chrono::steady_clock::time_point until) {
    draining_.store(true, mo_seq_cst);
    if (driven_by_caller()) {
        return drive_until_drained(until);
    }
    std::unique_lock lock(drain_mutex_);
    while (!deserted()) {
        auto const now = std::chrono::steady_clock::now();
        if (now >= until) {
            return false;
        }
        // The ends are counted under other locks, so that one could slip in between the look and the wait.
        drained_.wait_until(lock, std::min(until, now + std::chrono::milliseconds{5}));
    }
    return true;
}

bool scheduler::drive_until_drained(std::chrono::steady_clock::time_point until) {
    if (external_ != nullptr) {
        while (!deserted()) {
            auto const now = std::chrono::steady_clock::now();
            if (now >= until) {
                return false;
            }
            if (run_ready(turns_per_drive) == 0) {
                external_->wait(until - now);
            }
        }
        return true;
    }
    std::lock_guard const one_at_a_time(drive_mutex_);
    while (!deserted()) {
        somebody_left_.store(false, mo_relaxed);
        if (workers_[0]->run(somebody_left_) == worker::run_end::stuck) {
            return deserted();
        }
    }
    return true;
}

std::size_t scheduler::run_ready(std::size_t budget) {
    std::lock_guard const one_at_a_time(drive_mutex_);
    external_->clear();
    std::size_t const turns = workers_[0]->run_ready(budget);
    if (workers_[0]->is_ready()) {
        external_->signal();
    }
    external_->set_deadline(workers_[0]->next_deadline());
    return turns;
}

void scheduler::wait_for(spawned_base& task, outside_wait& wait, std::function<void()> const& on_interrupt) {
    if (!task.watch(wait)) {
        return;
    }
    struct unwatch_at_exit {
        spawned_base& task;
        outside_wait& wait;
        ~unwatch_at_exit() {
            if (!wait.done()) {
                task.unwatch(wait);
            }
        }
    } const guard{task, wait};
    if (driven_by_caller()) {
        drive_until_over(task, wait, on_interrupt);
        return;
    }
    while (!wait.done()) {
        wait.block();
        if (wait.take_interrupt() && on_interrupt) {
            on_interrupt();
        }
    }
}

void scheduler::drive_until_over(spawned_base& task, outside_wait& wait, std::function<void()> const& on_interrupt) {
    std::lock_guard const one_at_a_time(drive_mutex_);
    while (!wait.done()) {
        wait.clear();
        if (wait.take_interrupt() && on_interrupt) {
            on_interrupt();
        }
        if (!wait.done() && workers_[0]->run(wait.happened()) == worker::run_end::stuck) {
            task.look();
            throw deadlock_error(deadlock_report());
        }
    }
}

std::string scheduler::deadlock_report() {
    std::string text = "no task can ever run again:";
    for (auto const& each : tasks()) {
        text += ' ' + each.name + " (spawned at " + each.where.file_name() + ':' + std::to_string(each.where.line()) +
                ") waits for " + (each.awaits.empty() ? "something that cannot be cancelled" : each.awaits) + ';';
    }
    text.back() = '.';
    return text;
}

void scheduler::unpark_simulated() noexcept {
    if (simulated_) {
        workers_[0]->loop().unpark();
    }
}

void outside_work::end() noexcept {
    if (count_.fetch_sub(1, mo_acq_rel) == 1) {  // pairs with any()
        std::lock_guard const lock(mutex_);
        if (owner_ != nullptr) {
            owner_->unpark_simulated();
        }
    }
}

void outside_work::orphan() noexcept {
    std::lock_guard const lock(mutex_);
    owner_ = nullptr;
}

std::shared_ptr<outside_work> outside_work_of(scheduler& where) noexcept {
    return where.outside();
}

void submit_blocking(scheduler& where, blocking_call& call) {
    where.outside()->begin();
    try {
        where.blocking().submit(call);
    } catch (...) {
        where.outside()->end();
        throw;
    }
}

} // namespace magpie::detail
