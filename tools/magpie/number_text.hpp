#pragma once

// Numbers as people read them.

#include <cstdint>
#include <string>

namespace magpie::tools {

// "0", "999", "100,000".
std::string format_count(std::uint64_t number);

// Three significant digits, no exponent: "0.12", "1.23", "12.3", "123", "1235". Not negative.
std::string three_digits(double number);

// For rates: "0", "0.50", "12.3", "999", "12.3k", "1.23M", "4.56G".
std::string format_short(double number);

// "0 B", "1023 B", "1.00 KiB", "12.3 MiB".
std::string format_bytes(double bytes);

}  // namespace magpie::tools
