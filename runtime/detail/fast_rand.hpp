#pragma once

#include <cstdint>

namespace magpie::detail {

// Pseudo-random numbers for scheduling decisions (whose queue to look at first): one multiplication each, reproducible
// from the seed, not for secrets. One thread.
//
// State and mixing are SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
// Every seed is good, zero and consecutive ones included, so that workers may be seeded with their numbers.
class fast_rand {
public:
    explicit fast_rand(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        state_ += 0x9e3779b97f4a7c15U;
        std::uint64_t x = state_;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        return x ^ (x >> 31);
    }

    // In [0, bound); 0 if bound is 0. Biased by less than bound / 2^32, which no victim will notice.
    std::uint32_t below(std::uint32_t bound) noexcept {
        return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
    }

private:
    std::uint64_t state_;
};

}  // namespace magpie::detail
