#pragma once

#include <cstddef>

namespace magpie::detail {

// How far apart two variables must lie so that a writer of one does not slow a reader of the other. Twice the line on
// x86-64, whose prefetcher fetches lines in pairs; some aarch64 cores have lines of 128 bytes.
#if defined(__x86_64__) || defined(__aarch64__)
inline constexpr std::size_t cache_line_size = 128;
#else
inline constexpr std::size_t cache_line_size = 64;
#endif

// A value on cache lines of its own, for arrays of per-worker values.
template <class T>
struct alignas(cache_line_size) cache_padded {
    T value{};
};

}  // namespace magpie::detail
