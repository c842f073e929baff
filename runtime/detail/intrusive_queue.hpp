#pragma once

#include <magpie/runtime/detail/assert.hpp>

#include <cstddef>

namespace magpie::detail {

// Singly linked FIFO through the member T::next. Not synchronised; never allocates, owns or throws. An item is in at
// most one queue at a time; the last one's next is null.
template <class T>
class intrusive_queue {
public:
    intrusive_queue() noexcept = default;
    intrusive_queue(intrusive_queue const&) = delete;
    intrusive_queue& operator=(intrusive_queue const&) = delete;
    intrusive_queue(intrusive_queue&& other) noexcept { append(static_cast<intrusive_queue&&>(other)); }
    // Only into an empty queue: what it held would be lost.
    intrusive_queue& operator=(intrusive_queue&& other) noexcept {
        if (this != &other) {
            MAGPIE_ASSERT(empty());
            append(static_cast<intrusive_queue&&>(other));
        }
        return *this;
    }

    bool empty() const noexcept { return first_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    T* front() const noexcept { return first_; }

    void push_back(T* item) noexcept {
        item->next = nullptr;
        if (first_ == nullptr) {
            first_ = item;
        } else {
            last_->next = item;
        }
        last_ = item;
        ++size_;
    }

    void push_front(T* item) noexcept {
        item->next = first_;
        if (first_ == nullptr) {
            last_ = item;
        }
        first_ = item;
        ++size_;
    }

    // The oldest item, or null.
    T* pop_front() noexcept {
        T* const item = first_;
        if (item != nullptr) {
            first_ = item->next;
            item->next = nullptr;
            --size_;
        }
        return item;
    }

    // Moves all items of `other` behind those of this queue, in order, at the cost of one.
    void append(intrusive_queue&& other) noexcept {
        MAGPIE_ASSERT(this != &other);
        if (other.first_ == nullptr) {
            return;
        }
        if (first_ == nullptr) {
            first_ = other.first_;
        } else {
            last_->next = other.first_;
        }
        last_ = other.last_;
        size_ += other.size_;
        other.first_ = nullptr;
        other.size_ = 0;
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;  // meaningful unless empty
    std::size_t size_ = 0;
};

}  // namespace magpie::detail
