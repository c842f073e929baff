#pragma once

#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <string>

namespace magpie::detail {

// A task's place in the list of a primitive. It is linked as long as the task waits there; whoever unlinks it, under the
// primitive's lock, decides how the wait ends: a granter wakes it after unlocking, try_cancel() returns true.
class listed_waiter : public waiter {
public:
    std::string describe() const final { return what_; }

    list_hook hook;

protected:
    // `what`: a literal, the primitive's name for people.
    explicit listed_waiter(char const* what) noexcept : what_(what) {}
    ~listed_waiter() = default;

private:
    char const* what_;
};

using wait_list = intrusive_list<listed_waiter, &listed_waiter::hook>;

// Waiters that were taken off a list under its lock, to be woken in order after it was let go.
class woken_waiters {
public:
    woken_waiters() noexcept = default;
    woken_waiters(woken_waiters const&) = delete;
    woken_waiters& operator=(woken_waiters const&) = delete;

    void add(waiter& w) noexcept { waiters_.push_back(&w); }
    void wake() noexcept {
        while (work_item* const next = waiters_.pop_front()) {
            static_cast<waiter*>(next)->wake();
        }
    }

private:
    intrusive_queue<work_item> waiters_;  // work_item::next is free while a task waits
};

} // namespace magpie::detail
