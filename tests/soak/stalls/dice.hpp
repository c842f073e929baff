#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace magpie::tests {

// splitmix64's mixing: from one number many that have nothing to do with each other.
inline std::uint64_t mixed(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

// The choices of one task: they depend on the seed alone, whatever the others do.
class dice {
public:
    explicit dice(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept { return mixed(state_++); }
    // Both ends included.
    std::uint64_t between(std::uint64_t least, std::uint64_t most) noexcept {
        return least + next() % (most - least + 1);
    }
    bool one_in(std::uint64_t n) noexcept { return next() % n == 0; }
    std::chrono::microseconds up_to(std::chrono::microseconds most) noexcept {
        return std::chrono::microseconds(between(0, static_cast<std::uint64_t>(most.count())));
    }

private:
    std::uint64_t state_;
};

// An endless sequence of bytes in which every place is known without those before it.
class byte_pattern {
public:
    explicit byte_pattern(std::uint64_t seed) noexcept : seed_(seed) {}

    void fill(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        each_run(to.size(), offset, [&](std::size_t at, std::byte const* right, std::size_t count) {
            std::memcpy(to.data() + at, right, count);
            return true;
        });
    }
    // Where in `got`, which should be what begins at `offset`, the first wrong byte is.
    std::optional<std::size_t> first_wrong(std::span<std::byte const> got, std::uint64_t offset) const noexcept {
        std::optional<std::size_t> found;
        each_run(got.size(), offset, [&](std::size_t at, std::byte const* right, std::size_t count) {
            std::byte const* const first = got.data() + at;
            auto const differ = std::mismatch(first, first + count, right).first;
            if (differ != first + count) {
                found = static_cast<std::size_t>(differ - got.data());
            }
            return !found;
        });
        return found;
    }

private:
    template <class F>
    void each_run(std::size_t size, std::uint64_t offset, F f) const noexcept {
        for (std::size_t at = 0; at < size;) {
            std::byte word[8];
            std::uint64_t const value = mixed(seed_ ^ mixed(offset / sizeof word));
            std::memcpy(word, &value, sizeof word);
            std::size_t const skip = offset % sizeof word;
            std::size_t const count = std::min(size - at, sizeof word - skip);
            if (!f(at, word + skip, count)) {
                return;
            }
            at += count;
            offset += count;
        }
    }

    std::uint64_t seed_;
};

}  // namespace magpie::tests
