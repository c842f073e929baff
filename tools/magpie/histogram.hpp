#pragma once

// A latency histogram with a relative error below 1 % and a fixed size.
//
// Values are sorted into buckets whose width grows with the value: each power of two is cut into 64 equal parts, and
// below 128 ns every value has a bucket of its own. The idea, logarithmic in the large and linear in the small, is that
// of Gil Tene's HdrHistogram (hdrhistogram.org). A bucket is at most 1/64 of its values wide and answers with its
// middle, so what comes out differs from what went in by at most 1/128.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace magpie::tools {

// Used by one thread at a time: give each worker its own and merge. 18.5 KiB, on the heap, so that one can live in a
// coroutine's frame.
class histogram {
public:
    // Longer ones are counted as this in the percentiles; max() and mean() stay exact.
    static constexpr std::chrono::nanoseconds largest = std::chrono::hours(1);

    histogram();

    // A negative value counts as 0.
    void record(std::chrono::nanoseconds value) noexcept;

    void merge(histogram const& other) noexcept;
    void clear() noexcept;

    std::uint64_t count() const noexcept { return count_; }

    // Exact; 0 when empty.
    std::chrono::nanoseconds min() const noexcept;
    std::chrono::nanoseconds max() const noexcept;
    std::chrono::nanoseconds mean() const noexcept;

    // The smallest value that at least `percent` of all values do not exceed, within 1 %, and never outside [min, max].
    // 0 gives min, 100 gives max. 0 when empty.
    std::chrono::nanoseconds percentile(double percent) const noexcept;

    // Of the counts.
    static std::size_t memory_bytes() noexcept;

private:
    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0;
    std::uint64_t min_ = 0;  // valid when count_ > 0
    std::uint64_t max_ = 0;
    double sum_ = 0;  // ns; a 64-bit integer would overflow after a few million values of an hour
};

}  // namespace magpie::tools
