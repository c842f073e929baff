#include "duration_text.hpp"

#include "number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace magpie::tools {

namespace {

using std::chrono::nanoseconds;

struct unit {
    std::string_view name;
    std::int64_t nanoseconds;
};

constexpr std::array<unit, 6> units = {{{"h", 3'600'000'000'000},
                                        {"m", 60'000'000'000},
                                        {"s", 1'000'000'000},
                                        {"ms", 1'000'000},
                                        {"us", 1'000},
                                        {"ns", 1}}};

constexpr std::int64_t longest = 1000 * units[0].nanoseconds;

// The smallest number has no positive twin.
constexpr std::int64_t longest_shown = std::numeric_limits<std::int64_t>::max();

constexpr std::size_t most_decimals = 9;

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

std::string_view take_while(std::string_view& text, bool (*wanted)(char)) {
    std::size_t length = 0;
    while (length < text.size() && wanted(text[length])) {
        ++length;
    }
    std::string_view const taken = text.substr(0, length);
    text.remove_prefix(length);
    return taken;
}

std::unexpected<std::string> refuse(std::string_view text, std::string_view why) {
    return std::unexpected(fmt::format("'{}' is no duration: {}", text, why));
}

// digits[.fraction] times the unit, or a negative number if that is beyond `longest`.
std::int64_t scaled(std::string_view whole, std::string_view fraction, std::int64_t unit) {
    std::int64_t value = 0;
    for (char const c : whole) {
        value = value * 10 + (c - '0');
        if (value > longest / unit) {
            return -1;
        }
    }
    value *= unit;
    std::int64_t place = unit;
    for (char const c : fraction.substr(0, most_decimals)) {
        place /= 10;  // exact, or 0 at the end: a second and less is a power of ten, minute and hour end in ten zeros
        value += place * (c - '0');
    }
    return value > longest ? -1 : value;
}

}  // namespace

std::expected<nanoseconds, std::string> parse_duration(std::string_view text) {
    std::string_view rest = text;
    std::int64_t total = 0;
    std::size_t next_unit = 0;
    do {
        std::string_view const whole = take_while(rest, is_digit);
        std::string_view fraction;
        if (rest.starts_with('.')) {
            rest.remove_prefix(1);
            fraction = take_while(rest, is_digit);
            if (fraction.empty()) {
                return refuse(text, "digits must follow the point");
            }
        }
        if (whole.empty()) {
            return refuse(text, "write a number and a unit, such as 10s, 20ms or 1.5s");
        }
        std::string_view const name = take_while(rest, [](char c) { return !is_digit(c) && c != '.'; });
        if (name.empty()) {
            return refuse(text, "the unit is missing, one of ns, us, ms, s, m, h");
        }
        std::size_t index = 0;
        while (index < units.size() && units[index].name != name) {
            ++index;
        }
        if (index == units.size()) {
            return refuse(text, "the units are ns, us, ms, s, m, h");
        }
        if (index < next_unit) {
            return refuse(text, "larger units come first, each once");
        }
        next_unit = index + 1;
        std::int64_t const part = scaled(whole, fraction, units[index].nanoseconds);
        if (part < 0 || total + part > longest) {
            return refuse(text, "at most 1000h is allowed");
        }
        total += part;
    } while (!rest.empty());
    return nanoseconds(total);
}

std::string format_duration(nanoseconds duration) {
    std::int64_t const count = duration.count();
    if (count < 0) {
        return "-" + format_duration(nanoseconds(-std::max(count, -longest_shown)));
    }
    if (count == 0) {
        return "0 s";
    }
    if (count < 1000) {
        return fmt::format("{} ns", count);
    }
    auto const value = static_cast<double>(count);
    if (value < 999.5e3) {
        return fmt::format("{} µs", three_digits(value / 1e3));
    }
    if (value < 999.5e6) {
        return fmt::format("{} ms", three_digits(value / 1e6));
    }
    if (value < 59.95e9) {
        return fmt::format("{} s", three_digits(value / 1e9));
    }
    std::int64_t const seconds = count / 1'000'000'000 + (count % 1'000'000'000 >= 500'000'000 ? 1 : 0);
    if (seconds < 3600) {
        return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
    }
    std::int64_t const minutes = seconds / 60 + (seconds % 60 >= 30 ? 1 : 0);
    return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string format_clock(nanoseconds duration) {
    std::int64_t const count = duration.count() > 0 ? duration.count() : 0;
    std::int64_t const seconds = count / 1'000'000'000 + (count % 1'000'000'000 > 0 ? 1 : 0);
    if (seconds < 3600) {
        return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
    }
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace magpie::tools
