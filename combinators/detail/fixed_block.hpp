#pragma once

#include <magpie/runtime/detail/frame_alloc.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace magpie::detail {

// A fixed number of objects that do not move, made one by one, in one allocation.
template <class T>
class fixed_block {
public:
    fixed_block() noexcept = default;
    fixed_block(fixed_block const&) = delete;
    fixed_block& operator=(fixed_block const&) = delete;
    ~fixed_block() {
        std::destroy_n(objects_, size_);
        if (objects_ != nullptr) {
            recycling_allocator<T>().deallocate(objects_, capacity_);
        }
    }

    // Once. Throws std::bad_alloc.
    void allocate(std::size_t capacity) {
        if (capacity != 0) {
            objects_ = recycling_allocator<T>().allocate(capacity);
            capacity_ = capacity;
        }
    }
    template <class... Args>
    void emplace(Args&&... args) {
        std::construct_at(objects_ + size_, std::forward<Args>(args)...);
        ++size_;
    }

    // Destroys the objects; as many can be made again.
    void clear() noexcept { std::destroy_n(objects_, std::exchange(size_, 0)); }

    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    T* begin() noexcept { return objects_; }
    T* end() noexcept { return objects_ + size_; }

private:
    T* objects_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace magpie::detail
