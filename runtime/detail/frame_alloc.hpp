#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace magpie::detail {

// Frames are recycled by size class; larger ones than the largest class go to the allocator.
inline constexpr std::size_t frame_granule = 32;
inline constexpr std::size_t largest_recycled_frame = 2048;
constexpr std::size_t frame_class(std::size_t size) noexcept {
    return (size - 1) / frame_granule;
}
[[nodiscard]] void* allocate_frame_of(std::size_t frame_class);
void deallocate_frame_of(void* memory, std::size_t frame_class) noexcept;

// Memory for coroutine frames and task records, recycled per thread (runtime/scheduler/frame_cache.hpp). Any thread
// may free what another allocated. `size` must be the size that was asked for. Throws std::bad_alloc.
// Inline, because a frame's size is a constant by the time it is compiled to instructions, and so is its class.
[[nodiscard]] inline void* allocate_frame(std::size_t size) {
    return size <= largest_recycled_frame ? allocate_frame_of(frame_class(size)) : ::operator new(size);
}
inline void deallocate_frame(void* memory, std::size_t size) noexcept {
    if (size <= largest_recycled_frame) {
        deallocate_frame_of(memory, frame_class(size));
    } else {
        ::operator delete(memory);
    }
}

// Base of final classes whose objects lie there, one by one; over-aligned ones lie on the heap.
struct recycled {
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void* operator new(std::size_t size, std::align_val_t alignment) { return ::operator new(size, alignment); }
    static void operator delete(void* memory, std::size_t size) noexcept { deallocate_frame(memory, size); }
    static void operator delete(void* memory, std::size_t size, std::align_val_t alignment) noexcept {
        ::operator delete(memory, size, alignment);
    }
};

// The same memory for a few objects in a row.
template <class T>
struct recycling_allocator {
    using value_type = T;

    recycling_allocator() noexcept = default;
    template <class U>
    recycling_allocator(recycling_allocator<U> const&) noexcept {}  // containers convert them

    [[nodiscard]] T* allocate(std::size_t count) {
        if constexpr (recycles) {
            if (count <= largest_recycled_frame / sizeof(T)) {
                return static_cast<T*>(allocate_frame(count * sizeof(T)));
            }
        }
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        if constexpr (recycles) {
            if (count <= largest_recycled_frame / sizeof(T)) {
                deallocate_frame(memory, count * sizeof(T));
                return;
            }
        }
        std::allocator<T>().deallocate(memory, count);
    }
    friend bool operator==(recycling_allocator, recycling_allocator) noexcept { return true; }

private:
    static constexpr bool recycles = alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;
};

} // namespace magpie::detail
