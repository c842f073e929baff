#pragma once

// The doors through which threads that are no workers take part in a runtime.

#include <magpie/runtime/detail/atomic.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace magpie::detail {

class scheduler;

// One call that may block its thread. Lies where its caller keeps it; after run() has been called the pool does not
// touch it again, so run() may free it, or wake the task whose frame it lies in.
class blocking_call {
public:
    virtual void run() noexcept = 0;
    blocking_call* next = nullptr;

protected:
    ~blocking_call() = default;
};

// Runs the call on a thread of the runtime's blocking pool; calls wait, first come first served, when all are busy. The
// simulated clock stands still until run() has returned. Any thread. Throws std::system_error if no thread can be made.
// The runtime is not destroyed before run() has returned.
void submit_blocking(scheduler& where, blocking_call& call);

// Counts what goes on outside a runtime's tasks and may bring something to them: calls on the blocking pool, foreign
// threads that wait. While there is any, the simulated clock stands still and no deadlock is declared. Outlives the
// runtime if somebody keeps it.
class outside_work {
public:
    explicit outside_work(scheduler& owner) noexcept : owner_(&owner) {}
    outside_work(outside_work const&) = delete;
    outside_work& operator=(outside_work const&) = delete;

    void begin() noexcept { count_.fetch_add(1, mo_acq_rel); }  // pairs with any()
    void end() noexcept;
    bool any() const noexcept { return count_.load(mo_acquire) != 0; }
    // The runtime is gone.
    void orphan() noexcept;

private:
    std::mutex mutex_;
    scheduler* owner_;  // under the mutex; null once the runtime is gone
    atomic<int> count_{0};
};

std::shared_ptr<outside_work> outside_work_of(scheduler& where) noexcept;

// A foreign thread is about to wait for a task, or to bring something to one.
class outside_work_scope {
public:
    explicit outside_work_scope(scheduler& where) noexcept : outside_work_scope(outside_work_of(where)) {}
    // Null: of no runtime; does nothing.
    explicit outside_work_scope(std::shared_ptr<outside_work> work) noexcept : work_(std::move(work)) {
        if (work_ != nullptr) {
            work_->begin();
        }
    }
    outside_work_scope(outside_work_scope const&) = delete;
    outside_work_scope& operator=(outside_work_scope const&) = delete;
    ~outside_work_scope() {
        if (work_ != nullptr) {
            work_->end();
        }
    }

private:
    std::shared_ptr<outside_work> work_;
};

} // namespace magpie::detail
