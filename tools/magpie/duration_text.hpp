#pragma once

// Durations as people write and read them.

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace magpie::tools {

// "10s", "20ms", "1.5s", "1m30s", "250us", "2h": numbers with their units (ns, us, ms, s, m, h), larger units first, no
// spaces, at most 1000 h in all. Decimals beyond the ninth and parts of a nanosecond are cut off. The error is one sentence.
std::expected<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text);

// With three significant digits: "850 ns", "12.3 µs", "1.20 ms", "59.9 s", "2 min 05 s", "1 h 02 min". UTF-8.
std::string format_duration(std::chrono::nanoseconds duration);

// As on a clock, for what is left to wait: "0:04", "1:05", "1:02:03". Seconds are rounded up.
std::string format_clock(std::chrono::nanoseconds duration);

}  // namespace magpie::tools
