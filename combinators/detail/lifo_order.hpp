#pragma once

#include <magpie/combinators/detail/queue_core.hpp>

#include <utility>

namespace magpie::detail {

// Last in, first out.
class lifo_order final : public queue_order {
public:
    using node = queue_node;

    void add(queue_node& item) noexcept override { item.next = std::exchange(top_, &item); }
    queue_node& take() noexcept override { return *std::exchange(top_, top_->next); }
    queue_node* take_all() noexcept override { return std::exchange(top_, nullptr); }

private:
    queue_node* top_ = nullptr;
};

} // namespace magpie::detail
