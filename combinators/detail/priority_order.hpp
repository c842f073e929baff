#pragma once

// A priority order: a leftist heap, linked through the items.
//
// No child comes before its parent, and of a node's two subtrees the left one has the longer way to a gap (its rank).
// So the way down the right-hand side of n items is at most log2(n + 1) long, and that is all that merging two heaps
// walks down. Adding merges with a heap of one, taking merges the root's subtrees: both compare O(log n) times in the
// worst case, and neither allocates, as it must be under the queue's lock. Equal items leave in the order in which they
// came, by their sequence numbers.

#include <magpie/combinators/detail/queue_core.hpp>
#include <magpie/combinators/detail/queue_item.hpp>

#include <cstdint>
#include <functional>
#include <utility>

namespace magpie::detail {

struct priority_node : queue_node {
    priority_node* left = nullptr;
    priority_node* right = nullptr;
    std::uint64_t sequence = 0;
    std::uint32_t rank = 1;
};

template <class T, class Compare>
class priority_order final : public queue_order {
public:
    using node = priority_node;

    explicit priority_order(Compare compare) : compare_(std::move(compare)) {}

    void add(queue_node& item) noexcept override {
        auto& added = static_cast<node&>(item);
        added.left = nullptr;
        added.right = nullptr;
        added.rank = 1;
        added.sequence = ++last_sequence_;
        root_ = merge(root_, &added);
    }
    queue_node& take() noexcept override {
        node& first = *root_;
        root_ = merge(first.left, first.right);
        return first;
    }
    // The links of what is still to be visited, and then of the result, are `next`.
    queue_node* take_all() noexcept override {
        queue_node* all = nullptr;
        node* open = std::exchange(root_, nullptr);
        while (open != nullptr) {
            node* const each = std::exchange(open, static_cast<node*>(open->next));
            for (node* const child : {each->left, each->right}) {
                if (child != nullptr) {
                    child->next = std::exchange(open, child);
                }
            }
            each->next = std::exchange(all, each);
        }
        return all;
    }

private:
    static T const& value(node const& of) noexcept { return static_cast<queue_item<T, node> const&>(of).value; }
    static std::uint32_t rank(node const* heap) noexcept { return heap == nullptr ? 0 : heap->rank; }

    bool comes_before(node const& a, node const& b) noexcept {
        if (std::invoke(compare_, value(a), value(b))) {
            return true;
        }
        return a.sequence < b.sequence && !std::invoke(compare_, value(b), value(a));
    }

    // Recursion is as deep as the two ranks together.
    node* merge(node* a, node* b) noexcept {
        if (a == nullptr || b == nullptr) {
            return a == nullptr ? b : a;
        }
        if (comes_before(*b, *a)) {
            std::swap(a, b);
        }
        a->right = merge(a->right, b);
        if (rank(a->left) < rank(a->right)) {
            std::swap(a->left, a->right);
        }
        a->rank = rank(a->right) + 1;
        return a;
    }

    node* root_ = nullptr;
    std::uint64_t last_sequence_ = 0;
    [[no_unique_address]] Compare compare_;
};

} // namespace magpie::detail
