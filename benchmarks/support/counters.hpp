#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace magpie::bench {

// Real time per item, as a counter "per_<item>", in seconds; `items` are those of one iteration.
inline void count(benchmark::State& state, std::string const& item, double items) {
    using benchmark::Counter;
    state.counters["per_" + item] = Counter(items, Counter::kIsIterationInvariantRate | Counter::kInvert);
}

// What must be less than or equal to so many percent of the values, of which there is at least one.
inline double percentile(std::vector<double>& values, unsigned percent) {
    std::size_t const index = std::min(values.size() - 1, values.size() * percent / 100);
    auto const at = values.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

// Latencies in microseconds, as counters "<what>p50_us" and "<what>p99_us".
inline void count_latencies(benchmark::State& state, std::vector<double>& microseconds, std::string const& what = {}) {
    state.counters[what + "p50_us"] = percentile(microseconds, 50);
    state.counters[what + "p99_us"] = percentile(microseconds, 99);
}

}  // namespace magpie::bench
