#pragma once

#include <cstddef>
#include <new>

namespace magpie::detail {

// Memory for coroutine frames and task records, recycled per thread (runtime/scheduler/frame_cache.hpp). Any thread
// may free what another allocated. `size` must be the size that was asked for. Throws std::bad_alloc.
[[nodiscard]] void* allocate_frame(std::size_t size);
void deallocate_frame(void* memory, std::size_t size) noexcept;

// Base of final classes whose objects lie there, one by one; over-aligned ones lie on the heap.
struct recycled {
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void* operator new(std::size_t size, std::align_val_t alignment) { return ::operator new(size, alignment); }
    static void operator delete(void* memory, std::size_t size) noexcept { deallocate_frame(memory, size); }
    static void operator delete(void* memory, std::size_t size, std::align_val_t alignment) noexcept {
        ::operator delete(memory, size, alignment);
    }
};

} // namespace magpie::detail
