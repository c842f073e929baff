#pragma once

// Numbers as people read them.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace magpie::tools {

// "0", "999", "100,000".
std::string format_count(std::uint64_t number);

// Three significant digits, no exponent: "0.12", "1.23", "12.3", "123", "1235". Not negative.
std::string three_digits(double number);

// For rates: "0", "0.50", "12.3", "999", "12.3k", "1.23M", "4.56G".
std::string format_short(double number);

// "0 B", "1023 B", "1.00 KiB", "12.3 MiB".
std::string format_bytes(double bytes);

// "512", "512B", "64KiB", "1MiB", "1GiB": a whole number of at most 1 GiB, with a unit or none, no spaces. The error is
// one sentence.
std::expected<std::uint64_t, std::string> parse_bytes(std::string_view text);

}  // namespace magpie::tools
