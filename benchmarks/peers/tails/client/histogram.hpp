#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace peers {

// How often which latency occurred: log-linear, 64 steps from one power of two to the next, so that a value is known to
// 1.6 %; the greatest is exact.
class histogram {
public:
    void record(std::int64_t nanoseconds) {
        auto const value = static_cast<std::uint64_t>(nanoseconds > 0 ? nanoseconds : 0);
        ++buckets_[index_of(value)];
        ++count_;
        greatest_ = value > greatest_ ? value : greatest_;
    }

    std::uint64_t count() const { return count_; }
    std::uint64_t greatest() const { return greatest_; }

    // What that share of the values does not exceed.
    std::uint64_t percentile(double share) const {
        auto const rank = static_cast<std::uint64_t>(share * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen > rank) {
                return top_of(i) < greatest_ ? top_of(i) : greatest_;
            }
        }
        return greatest_;
    }

    // Calls f(greatest value of the bucket, how many) for those that are not empty, in order.
    template <class F>
    void each(F f) const {
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            if (buckets_[i] > 0) {
                f(top_of(i) < greatest_ ? top_of(i) : greatest_, buckets_[i]);
            }
        }
    }

private:
    static constexpr unsigned step_bits = 6;
    static constexpr std::uint64_t steps = std::uint64_t{1} << step_bits;

    static std::size_t index_of(std::uint64_t value) {
        if (value < steps) {
            return static_cast<std::size_t>(value);
        }
        auto const shift = static_cast<unsigned>(std::bit_width(value)) - step_bits - 1;
        return static_cast<std::size_t>((std::uint64_t{shift} << step_bits) + (value >> shift));
    }
    static std::uint64_t top_of(std::size_t index) {
        if (index < steps) {
            return index;
        }
        std::uint64_t const shift = (index >> step_bits) - 1;
        return (((index & (steps - 1)) + steps + 1) << shift) - 1;
    }

    std::array<std::uint64_t, (64 - step_bits + 1) * steps> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t greatest_ = 0;
};

}  // namespace peers
