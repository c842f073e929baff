#pragma once

#include <magpie/combinators/detail/queue_core.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace magpie::detail {

// An item of a queue, on the heap, in recycled memory.
template <class T>
struct queue_item final : queue_node {
    template <class... Args>
    explicit queue_item(Args&&... args) : value(std::forward<Args>(args)...) {}

    static constexpr bool over_aligned = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;

    static void* operator new(std::size_t size)
        requires(!over_aligned)
    {
        return allocate_frame(size);
    }
    static void operator delete(void* memory, std::size_t size) noexcept
        requires(!over_aligned)
    {
        deallocate_frame(memory, size);
    }

    T value;
};

template <class T>
using queue_item_ptr = std::unique_ptr<queue_item<T>>;

template <class T>
queue_item_ptr<T> own_item(queue_node* node) noexcept {
    return queue_item_ptr<T>(static_cast<queue_item<T>*>(node));
}

// First in, first out.
class fifo_order final : public queue_order {
public:
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

private:
    queue_node* first_ = nullptr;
    queue_node** last_ = &first_;
};

} // namespace magpie::detail
