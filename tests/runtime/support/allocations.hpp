#pragma once

// The global operator new of this test program: counts what is live, and fails on demand. Under ThreadSanitizer, which
// keeps its own, nothing is counted and nothing fails.

#include <cstddef>
#include <cstdint>

namespace magpie::tests {

// False: live_blocks() and live_bytes() are always 0, failing_allocations refuses nothing.
bool allocations_are_ours() noexcept;

// Blocks from operator new that were not deleted yet, of the whole program.
std::int64_t live_blocks() noexcept;
// Of these, the bytes that the allocator holds for them.
std::int64_t live_bytes() noexcept;

// While it lives, the nth (from 0) and all later allocations of this thread throw std::bad_alloc.
class failing_allocations {
public:
    explicit failing_allocations(int after) noexcept;
    failing_allocations(failing_allocations const&) = delete;
    failing_allocations& operator=(failing_allocations const&) = delete;
    ~failing_allocations();

    // Allocations that were refused so far.
    int refused() const noexcept;
};

}  // namespace magpie::tests
