#pragma once

#include <magpie/combinators/detail/queue_core.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace magpie::detail {

// An item of a queue, on the heap, in recycled memory. Node: what the queue's order keeps with it.
template <class T, std::derived_from<queue_node> Node>
struct queue_item final : Node, recycled {
    using value_type = T;

    template <class... Args>
    explicit queue_item(Args&&... args) : value(std::forward<Args>(args)...) {}

    T value;
};

template <class Item>
std::unique_ptr<Item> own_item(queue_node* node) noexcept {
    return std::unique_ptr<Item>(static_cast<Item*>(node));
}

// First in, first out.
class fifo_order final : public queue_order {
public:
    using node = queue_node;

    void add(queue_node& item) noexcept override {
        item.next = nullptr;
        *last_ = &item;
        last_ = &item.next;
    }
    queue_node& take() noexcept override {
        queue_node& item = *first_;
        first_ = item.next;
        if (first_ == nullptr) {
            last_ = &first_;
        }
        return item;
    }
    queue_node* take_all() noexcept override {
        last_ = &first_;
        return std::exchange(first_, nullptr);
    }

private:
    queue_node* first_ = nullptr;
    queue_node** last_ = &first_;
};

} // namespace magpie::detail
