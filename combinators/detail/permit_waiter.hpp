#pragma once

#include <magpie/runtime/detail/intrusive_list.hpp>

#include <cstddef>

namespace magpie::detail {

class task_context;

// A place in a semaphore's queue: of a task that waits for permits, or of a batch that goes on working meanwhile.
class permit_waiter {
public:
    permit_waiter(permit_waiter const&) = delete;
    permit_waiter& operator=(permit_waiter const&) = delete;

    // The permits are the waiter's now, and it is in no list any more. Called once, by the thread that gave them, under
    // no lock. It may queue a task or set a flag; it must not call the semaphore.
    virtual void granted() noexcept = 0;

    std::size_t wanted() const noexcept { return wanted_; }

    list_hook hook;
    permit_waiter* next = nullptr;  // between being taken off the list and granted()

protected:
    explicit permit_waiter(std::size_t wanted) noexcept : wanted_(wanted) {}
    ~permit_waiter() = default;

private:
    std::size_t wanted_;
};

// Takes permits for tasks of its own: a batch.
class permit_user {
public:
    permit_user() = default;
    permit_user(permit_user const&) = delete;
    permit_user& operator=(permit_user const&) = delete;

    // True if the task runs with a permit of this user's. Any thread, under the semaphore's lock.
    virtual bool runs(task_context const& task) const noexcept = 0;

    list_hook hook;

protected:
    ~permit_user() = default;
};

} // namespace magpie::detail
