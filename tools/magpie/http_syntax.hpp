#pragma once

// The characters and small pieces of HTTP/1.1 text (RFC 9110 section 5, RFC 9112) that both parsers share.
// Everything here is a pure function of its arguments.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace magpie::tools {

namespace http_syntax {

inline constexpr std::string_view alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

enum char_class : std::uint8_t {
    token_char = 1,   // a method, a field name, a coding
    target_char = 2,  // a request target: visible ASCII, but no fragment, which never travels
    host_char = 4,    // a Host value: name, address in brackets, port
};

consteval std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    auto const mark = [&](std::string_view characters, std::uint8_t bit) {
        for (char const c : characters) {
            classes[static_cast<unsigned char>(c)] |= bit;
        }
    };
    mark(alphanumeric, token_char | host_char);
    mark("!#$%&'*+-.^_`|~", token_char);
    mark("-._~%!$&'()*+,;=:[]", host_char);
    for (std::size_t c = 0x21; c < 0x7f; ++c) {
        if (c != '#') {
            classes[c] |= target_char;
        }
    }
    return classes;
}

inline constexpr std::array<std::uint8_t, 256> classes = make_classes();

}  // namespace http_syntax

// True if every character of text is of the class; an empty text is.
constexpr bool all_of_class(std::string_view text, http_syntax::char_class wanted) noexcept {
    // No early exit: the texts are short and nearly always right, and a loop without a branch is vectorised.
    std::uint8_t common = 0xff;
    for (char const c : text) {
        common &= http_syntax::classes[static_cast<unsigned char>(c)];
    }
    return (common & wanted) != 0;
}

constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && all_of_class(text, http_syntax::token_char);
}

// Compares without regard to ASCII case; `lower` must be in lower case already.
constexpr bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
    if (text.size() != lower.size()) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        char const c = text[i];
        char const folded = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (folded != lower[i]) {
            return false;
        }
    }
    return true;
}

// Without the spaces and tabs at both ends.
constexpr std::string_view trimmed(std::string_view text) noexcept {
    std::size_t const first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// 1*DIGIT and nothing else: no sign, no space. A number that does not fit gives the largest one, so that a limit
// refuses it; nullopt if it is no number.
constexpr std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
    if (text.empty()) {
        return std::nullopt;
    }
    constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t value = 0;
    for (char const c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        auto const digit = static_cast<std::uint64_t>(c - '0');
        value = value > (largest - digit) / 10 ? largest : value * 10 + digit;
    }
    return value;
}

// Calls f(element) for each element of a comma-separated field value that is not empty.
template <class Function>
constexpr void for_each_element(std::string_view list, Function&& f) {
    while (!list.empty()) {
        std::size_t const comma = list.find(',');
        std::string_view const element = trimmed(list.substr(0, comma));
        if (!element.empty()) {
            f(element);
        }
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    }
}

// One field line split at its colon; nullopt if it is no field: no colon, an empty or wrong name, a space before the
// colon, or a line that begins with a space (an obsolete fold, which two servers may read in two ways).
struct http_field {
    std::string_view name;
    std::string_view value;  // trimmed
};

constexpr std::optional<http_field> split_field(std::string_view line) noexcept {
    std::size_t const colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
        return std::nullopt;
    }
    return http_field{line.substr(0, colon), trimmed(line.substr(colon + 1))};
}

}  // namespace magpie::tools
