#include "echo_rules.hpp"

#include "duration_text.hpp"
#include "number_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace magpie::tools {

namespace {

constexpr std::chrono::nanoseconds longest_time = std::chrono::seconds(10);

std::optional<char> parse_byte(std::string_view text) {
    if (text.size() == 1) {
        return text.front();
    }
    if (!text.starts_with("0x") || text.size() > 4) {
        return std::nullopt;
    }
    unsigned value = 0;
    auto const [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return static_cast<char>(value);
}

struct rule_parts {
    char first;
    std::string_view value;
};

// The two sides of the colon, or what is wrong with them.
std::expected<rule_parts, std::string_view> split(std::string_view text) {
    std::size_t const colon = text.find(':', text.empty() ? 0 : 1);  // the byte may be a colon
    if (colon == std::string_view::npos) {
        return std::unexpected("write a byte, a colon and what it asks for");
    }
    auto const byte = parse_byte(text.substr(0, colon));
    if (!byte) {
        return std::unexpected("the byte must be one character or 0xNN");
    }
    return rule_parts{*byte, text.substr(colon + 1)};
}

}  // namespace

std::expected<time_rule, std::string> parse_time_rule(std::string_view text) {
    auto const refuse = [&](std::string_view why) {
        return std::unexpected(fmt::format("'{}' is no BYTE:DURATION: {}, as in x:5ms or 0xff:200us", text, why));
    };
    auto const parts = split(text);
    if (!parts) {
        return refuse(parts.error());
    }
    auto const time = parse_duration(parts->value);
    if (!time || *time > longest_time) {
        return refuse("the duration must be from 0 to 10s");
    }
    return time_rule{parts->first, *time};
}

std::expected<size_rule, std::string> parse_size_rule(std::string_view text) {
    auto const refuse = [&](std::string_view why) {
        return std::unexpected(fmt::format("'{}' is no BYTE:SIZE: {}, as in x:100 or 0xff:64KiB", text, why));
    };
    auto const parts = split(text);
    if (!parts) {
        return refuse(parts.error());
    }
    auto const size = parse_bytes(parts->value);
    if (!size || *size == 0) {
        return refuse("the size must be from 1 to 1GiB");
    }
    return size_rule{parts->first, static_cast<std::size_t>(*size)};
}

}  // namespace magpie::tools
