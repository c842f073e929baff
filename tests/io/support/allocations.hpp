#pragma once

// The global operator new of this test program, which counts.

#include <cstdint>

namespace magpie::tests {

// Calls of operator new so far, of the whole program. Always 0 under a sanitizer, which has an operator new of its own.
std::uint64_t allocations_made() noexcept;

}  // namespace magpie::tests
