#pragma once

#include <cstddef>

namespace magpie::detail {

// Memory for coroutine frames and task records, recycled per thread (runtime/scheduler/frame_cache.hpp). Any thread
// may free what another allocated. `size` must be the size that was asked for. Throws std::bad_alloc.
[[nodiscard]] void* allocate_frame(std::size_t size);
void deallocate_frame(void* memory, std::size_t size) noexcept;

} // namespace magpie::detail
