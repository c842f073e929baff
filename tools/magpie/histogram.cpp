#include "histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

namespace magpie::tools {

namespace {

constexpr unsigned part_bits = 6;
constexpr std::uint64_t parts = 1U << part_bits;  // of each power of two

constexpr std::uint64_t largest_value = static_cast<std::uint64_t>(histogram::largest.count());

// Below 2 * parts the value is its own index. Above, the value is shifted until it lies in [parts, 2 * parts): the
// number of shifts names the group, the shifted value the bucket in it, and the indices go on without a gap.
constexpr std::size_t index_of(std::uint64_t value) noexcept {
    unsigned const bits = static_cast<unsigned>(std::bit_width(value));
    unsigned const shift = bits > part_bits + 1 ? bits - (part_bits + 1) : 0;
    return shift * parts + static_cast<std::size_t>(value >> shift);
}

// The middle of a bucket's values.
constexpr std::uint64_t value_of(std::size_t index) noexcept {
    if (index < 2 * parts) {
        return index;
    }
    std::uint64_t const shift = index / parts - 1;
    std::uint64_t const lowest = (index - shift * parts) << shift;
    return lowest + (std::uint64_t{1} << shift) / 2;
}

constexpr std::size_t bucket_count = index_of(largest_value) + 1;

static_assert(index_of(2 * parts - 1) + 1 == index_of(2 * parts), "the indices have no gap");
static_assert(value_of(index_of(127)) == 127 && value_of(index_of(128)) == 129);
static_assert(bucket_count * sizeof(std::uint64_t) < 30 * 1024);

constexpr std::chrono::nanoseconds to_duration(std::uint64_t value) noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(value));
}

}  // namespace

histogram::histogram() : counts_(bucket_count) {}

void histogram::record(std::chrono::nanoseconds value) noexcept {
    auto const exact = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0));
    ++counts_[index_of(std::min(exact, largest_value))];
    min_ = count_ == 0 ? exact : std::min(min_, exact);
    max_ = std::max(max_, exact);
    sum_ += static_cast<double>(exact);
    ++count_;
}

void histogram::merge(histogram const& other) noexcept {
    if (other.count_ == 0) {
        return;
    }
    std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), std::plus<>());
    min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
    sum_ += other.sum_;
    count_ += other.count_;
}

void histogram::clear() noexcept {
    std::fill(counts_.begin(), counts_.end(), 0);
    count_ = 0;
    min_ = 0;
    max_ = 0;
    sum_ = 0;
}

std::chrono::nanoseconds histogram::min() const noexcept {
    return to_duration(min_);
}

std::chrono::nanoseconds histogram::max() const noexcept {
    return to_duration(max_);
}

std::chrono::nanoseconds histogram::mean() const noexcept {
    if (count_ == 0) return {};
    double const mean = sum_ / static_cast<double>(count_) + 0.5;
    // The sum is rounded, and may be so beyond what an integer holds.
    return to_duration(mean < static_cast<double>(max_) ? static_cast<std::uint64_t>(mean) : max_);
}

std::chrono::nanoseconds histogram::percentile(double percent) const noexcept {
    if (count_ == 0) {
        return {};
    }
    double const share = std::clamp(percent, 0.0, 100.0) / 100.0;
    // 99.9 / 100 * 1000 is a hair above 999: without the allowance that would ask for one value too many.
    double const exact_rank = share * static_cast<double>(count_) * (1 - 1e-12);
    auto const rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(exact_rank)), 1, count_);
    if (rank == 1 || rank == count_) {  // known exactly
        return to_duration(rank == 1 ? min_ : max_);
    }
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < counts_.size(); ++index) {
        seen += counts_[index];
        if (seen >= rank) {
            return to_duration(std::clamp(value_of(index), min_, max_));
        }
    }
    return to_duration(max_);
}

std::size_t histogram::memory_bytes() noexcept {
    return bucket_count * sizeof(std::uint64_t);
}

}  // namespace magpie::tools
