#pragma once

#include <magpie/io/detail/op_base.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>

namespace magpie::detail {

// Operations on their way to the owner of their home loop, for one reason. Any thread posts; the owner, or who stands in
// for it, takes all at once, in the order of posting. Link gives the pointer in an operation that this inbox may use.
template <class Link>
class op_inbox {
public:
    // Any thread. The op must not be in this inbox, and must not die before the owner has taken it.
    void post(op_base& op) noexcept {
        op_base* first = first_.load(mo_relaxed);
        do {
            Link::set(op, first);
            inject_point();
            // release: pairs with the acquire in take_all()
        } while (!first_.compare_exchange_weak(first, &op, mo_release, mo_relaxed));
    }

    // Any thread: a hint, exact for what the caller itself has posted.
    bool empty() const noexcept { return first_.load(mo_relaxed) == nullptr; }

    // Owner. Calls f(op) for each, oldest first; f may free the op.
    template <class F>
    void take_all(F f) noexcept {
        if (empty()) {
            return;
        }
        op_base* newest = first_.exchange(nullptr, mo_acquire);  // pairs with the release in post()
        op_base* oldest = nullptr;
        while (newest != nullptr) {
            op_base* const before = Link::get(*newest);
            Link::set(*newest, oldest);
            oldest = newest;
            newest = before;
        }
        while (oldest != nullptr) {
            op_base* const next = Link::get(*oldest);
            Link::set(*oldest, nullptr);  // f may put it into a list through the same hook
            f(*oldest);
            oldest = next;
        }
    }

private:
    alignas(cache_line_size) atomic<op_base*> first_{nullptr};
};

// A suspended task's work_item is in no queue, so its link is free.
struct link_of_item {
    static op_base* get(op_base const& op) noexcept { return static_cast<op_base*>(op.next); }
    static void set(op_base& op, op_base* next) noexcept { op.next = next; }
};

// An operation that the kernel has given back is in no list.
struct link_of_hook {
    static op_base* get(op_base const& op) noexcept { return static_cast<op_base*>(op.hook.next); }
    static void set(op_base& op, op_base* next) noexcept { op.hook.next = next; }
};

}  // namespace magpie::detail
