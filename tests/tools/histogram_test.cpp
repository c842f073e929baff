#include "magpie/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

using magpie::tools::histogram;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

namespace {

bool within_one_percent(nanoseconds measured, nanoseconds exact) {
    double const difference = std::abs(static_cast<double>((measured - exact).count()));
    return difference <= 0.01 * static_cast<double>(exact.count());
}

histogram of(std::vector<nanoseconds> const& values) {
    histogram result;
    for (nanoseconds const value : values) {
        result.record(value);
    }
    return result;
}

}  // namespace

TEST_CASE("histogram: an empty one gives zeros") {
    histogram const empty;
    CHECK(empty.count() == 0);
    CHECK(empty.min() == 0ns);
    CHECK(empty.max() == 0ns);
    CHECK(empty.mean() == 0ns);
    CHECK(empty.percentile(50) == 0ns);
}

TEST_CASE("histogram: small values are exact") {
    histogram const some = of({5ns, 1ns, 3ns, 2ns, 4ns, 100ns, 127ns});
    CHECK(some.percentile(0) == 1ns);
    CHECK(some.percentile(50) == 4ns);
    CHECK(some.percentile(75) == 100ns);
    CHECK(some.percentile(100) == 127ns);
    CHECK(some.min() == 1ns);
    CHECK(some.max() == 127ns);
    CHECK(some.count() == 7);
}

TEST_CASE("histogram: the percentile is the smallest value that enough values do not exceed") {
    histogram values;
    for (int value = 1; value <= 100; ++value) {
        values.record(nanoseconds(value));
    }
    CHECK(values.percentile(50) == 50ns);
    CHECK(values.percentile(90) == 90ns);
    CHECK(values.percentile(99) == 99ns);
    CHECK(values.percentile(99.1) == 100ns);
    CHECK(values.percentile(1) == 1ns);
    CHECK(values.percentile(-5) == 1ns);
    CHECK(values.percentile(1000) == 100ns);

    histogram thousand;
    for (int value = 0; value < 1000; ++value) {
        thousand.record(value < 999 ? 10ns : 100ns);
    }
    CHECK(thousand.percentile(99.9) == 10ns);  // 999 of 1000 are enough, rounding or not
    CHECK(thousand.percentile(99.91) == 100ns);
}

TEST_CASE("histogram: every size of value comes back within one percent") {
    histogram values;
    for (nanoseconds value = 1ns; value < 1h; value += 1ns + value / 97) {
        values.clear();
        values.record(1ns);
        values.record(value);
        values.record(2h);
        CAPTURE(value.count());
        REQUIRE(within_one_percent(values.percentile(50), value));
    }
}

TEST_CASE("histogram: percentiles of random latencies agree with sorting") {
    std::mt19937 random(7);
    std::lognormal_distribution<double> latency(11, 2);  // median 60 µs, a long tail
    std::vector<nanoseconds> values;
    for (int i = 0; i < 100000; ++i) {
        values.push_back(nanoseconds(static_cast<std::int64_t>(latency(random)) + 1));
    }
    histogram const measured = of(values);
    std::sort(values.begin(), values.end());
    for (double const percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
        CAPTURE(percent);
        auto const rank = static_cast<std::size_t>(std::ceil(percent / 100 * 100000 - 1e-6));
        CHECK(within_one_percent(measured.percentile(percent), values[rank - 1]));
    }
    CHECK(measured.min() == values.front());
    CHECK(measured.max() == values.back());
}

TEST_CASE("histogram: values beyond an hour and below nothing") {
    histogram const values = of({2h, 5h, -3ns});
    CHECK(values.max() == 5h);
    CHECK(values.min() == 0ns);
    CHECK(values.percentile(100) == 5h);
    CHECK(within_one_percent(values.percentile(60), 1h));
    CHECK(values.mean() == nanoseconds(7h) / 3);
}

TEST_CASE("histogram: the mean does not overflow") {
    histogram values;
    for (int i = 0; i < 4; ++i) {
        values.record(nanoseconds::max());
    }
    CHECK(values.mean() > nanoseconds::max() / 2);
    CHECK(of({1ns, 2ns, 6ns}).mean() == 3ns);
}

TEST_CASE("histogram: merging is the same as recording in one") {
    histogram left = of({5us, 1ms});
    histogram const right = of({3us, 2s, 7ns});
    histogram const both = of({5us, 1ms, 3us, 2s, 7ns});
    left.merge(right);
    left.merge(histogram());
    CHECK(left.count() == both.count());
    CHECK(left.min() == both.min());
    CHECK(left.max() == both.max());
    CHECK(left.mean() == both.mean());
    for (double const percent : {20.0, 40.0, 60.0, 80.0}) {
        CHECK(left.percentile(percent) == both.percentile(percent));
    }
    histogram empty;
    empty.merge(right);
    CHECK(empty.min() == 7ns);
    CHECK(empty.max() == 2s);
}

TEST_CASE("histogram: the size is fixed and small") {
    CHECK(histogram::memory_bytes() <= 30 * 1024);
}
