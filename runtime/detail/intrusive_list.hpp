#pragma once

#include <magpie/runtime/detail/assert.hpp>

namespace magpie::detail {

// Where a node keeps its neighbours: nodes in between, the list's own address at both ends, null when not linked.
struct list_hook {
    void* prev = nullptr;
    void* next = nullptr;
};

// Doubly linked list of nodes that live elsewhere; Hook is the member that links them (&node::hook). Not synchronised.
// Never allocates, owns or throws. A node is in at most one list per hook and must be erased before it dies; the list
// does not move while a node is in it, except by append() and the move constructor.
template <class T, auto Hook>
class intrusive_list {
public:
    intrusive_list() noexcept = default;
    intrusive_list(intrusive_list&& other) noexcept { append(other); }
    intrusive_list& operator=(intrusive_list&&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }
    T* front() const noexcept { return first_; }
    T* back() const noexcept { return last_; }
    // The node after one that is linked in this list, or null.
    T* next(T const* node) const noexcept { return as_node(hook(node).next); }

    // True if the node is in some list through this hook. Says nothing unless that list's owner is the caller.
    static bool linked(T const* node) noexcept { return (node->*Hook).next != nullptr; }

    void push_back(T* node) noexcept { link(node, last_, nullptr); }
    void push_front(T* node) noexcept { link(node, nullptr, first_); }
    // Puts the node before `successor`, which is linked in this list; at the back if that is null.
    void insert_before(T* successor, T* node) noexcept {
        link(node, successor == nullptr ? last_ : as_node(hook(successor).prev), successor);
    }

    // The oldest node, no longer linked, or null.
    T* pop_front() noexcept {
        T* const node = first_;
        if (node != nullptr) {
            erase(node);
        }
        return node;
    }

    // The node must be linked in this list.
    void erase(T* node) noexcept {
        MAGPIE_ASSERT(linked(node));
        list_hook& own = hook(node);
        T* const prev = as_node(own.prev);
        T* const next = as_node(own.next);
        MAGPIE_ASSERT(prev != nullptr || first_ == node);
        MAGPIE_ASSERT(next != nullptr || last_ == node);
        join(prev, next);
        own = list_hook{};
    }

    // Moves all nodes of `other` behind those of this list, in order.
    void append(intrusive_list& other) noexcept {
        if (other.empty()) {
            return;
        }
        T* const first = other.first_;
        T* const last = other.last_;
        other.first_ = nullptr;
        other.last_ = nullptr;
        join(last_, first);
        join(last, nullptr);  // the end mark is this list's address, not the other's
    }

private:
    static list_hook& hook(T* node) noexcept { return node->*Hook; }
    static list_hook const& hook(T const* node) noexcept { return node->*Hook; }

    T* as_node(void* link) const noexcept {
        return link == static_cast<void const*>(this) ? nullptr : static_cast<T*>(link);
    }
    void* as_link(T* node) noexcept { return node == nullptr ? static_cast<void*>(this) : node; }

    // Makes two nodes neighbours; null stands for the end of the list on that side.
    void join(T* prev, T* next) noexcept {
        if (prev == nullptr) {
            first_ = next;
        } else {
            hook(prev).next = as_link(next);
        }
        if (next == nullptr) {
            last_ = prev;
        } else {
            hook(next).prev = as_link(prev);
        }
    }

    void link(T* node, T* prev, T* next) noexcept {
        MAGPIE_ASSERT(!linked(node));
        join(prev, node);
        join(node, next);
    }

    T* first_ = nullptr;
    T* last_ = nullptr;
};

}  // namespace magpie::detail
