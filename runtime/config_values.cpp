#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <numeric>

namespace magpie::detail {
namespace {

struct unit {
    std::string_view name;
    std::uint64_t factor;
};
// From large to small, so that formatting takes the first that divides.
constexpr unit time_units[] = {{"h", 3'600'000'000'000}, {"min", 60'000'000'000}, {"s", 1'000'000'000},
                               {"ms", 1'000'000},        {"us", 1'000},           {"ns", 1}};
constexpr unit byte_units[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}};
constexpr std::uint64_t bare_number_of_time = 1'000;  // a time without a unit counts microseconds

std::unexpected<std::string> refused(config_key const& key) {
    return std::unexpected("is not allowed: use " + allowed_values(key));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t number = 0;
    auto const* const end = text.data() + text.size();
    auto const [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

std::optional<std::uint64_t> scaled(std::uint64_t number, std::uint64_t factor) {
    return number <= std::numeric_limits<std::uint64_t>::max() / factor ? std::optional(number * factor) : std::nullopt;
}

// "1.5ms", "64 KiB": digits, perhaps a fraction, perhaps a space, a unit. Nothing finer than 1 is rounded away: what
// is no whole number of the smallest unit is refused.
std::optional<std::uint64_t> quantity(std::string_view text, std::span<unit const> units, std::uint64_t no_unit) {
    auto const digits = std::min(text.find_first_not_of("0123456789"), text.size());
    auto const whole = whole_number(text.substr(0, digits));
    text.remove_prefix(digits);
    std::string_view fraction;
    if (text.starts_with('.')) {
        fraction = text.substr(1, std::min(text.find_first_not_of("0123456789", 1), text.size()) - 1);
        text.remove_prefix(1 + fraction.size());
        if (fraction.empty()) {
            return std::nullopt;
        }
    }
    if (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    auto factor = no_unit;
    if (!text.empty() || !fraction.empty()) {
        auto const found = std::ranges::find(units, text == "\u00b5s" ? "us" : text, &unit::name);
        if (found == units.end()) {
            return std::nullopt;
        }
        factor = found->factor;
    }
    auto total = whole ? scaled(*whole, factor) : std::nullopt;
    std::uint64_t place = 1;
    for (char const digit : fraction) {
        place *= 10;
        auto const part = scaled(static_cast<std::uint64_t>(digit - '0'), factor);
        if (!total || !part || place > 1'000'000'000 || *part % place != 0 ||
            *total > std::numeric_limits<std::uint64_t>::max() - *part / place) {
            return std::nullopt;
        }
        *total += *part / place;
    }
    return total;
}

std::string with_unit(std::uint64_t value, std::span<unit const> units) {
    auto const found = std::ranges::find_if(units, [&](unit const& u) { return value % u.factor == 0; });
    return fmt::format("{}{}", value / found->factor, found->name);
}

std::string bytes_text(std::uint64_t value) {
    return value % 1024 == 0 && value > 0 ? with_unit(value, byte_units) : fmt::format("{}", value);
}

std::string list_of(std::span<std::string_view const> words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
        text += fmt::format("\"{}\"", words[i]);
    }
    return text;
}

std::expected<config_value, std::string> checked(config_key const& key, std::optional<config_value> value) {
    if (!value) {
        return refused(key);
    }
    if (auto const ok = check_value(key, *value); !ok) {
        return std::unexpected(ok.error());
    }
    return *std::move(value);
}

bool is_word(std::string_view text) noexcept {
    return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos;
}

// Levenshtein's distance: how many characters to insert, delete or replace.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto const replace = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replace});
        }
    }
    return row.back();
}

std::string_view last_part(std::string_view path) noexcept {
    return path.substr(path.rfind('.') + 1);
}

}  // namespace

std::expected<config_value, std::string> parse_value(config_key const& key, std::string_view text) {
    if (!key.zero.empty() && text == key.zero) {
        return config_value{std::uint64_t{0}};
    }
    std::optional<config_value> value;
    switch (key.kind) {
    case key_kind::flag:
        if (text == "true" || text == "1") {
            value = std::uint64_t{1};
        } else if (text == "false" || text == "0") {
            value = std::uint64_t{0};
        }
        break;
    case key_kind::number:
        value = whole_number(text);
        break;
    case key_kind::bytes:
        value = quantity(text, byte_units, 1);
        break;
    case key_kind::time:
        value = quantity(text, time_units, bare_number_of_time);
        break;
    case key_kind::choice:
        if (auto const found = std::ranges::find(key.words, text); found != key.words.end()) {
            value = static_cast<std::uint64_t>(found - key.words.begin());
        }
        break;
    case key_kind::text:
        value = std::string(text);
        break;
    }
    return checked(key, std::move(value));
}

std::expected<config_value, std::string> parse_quoted(config_key const& key, std::string_view text) {
    bool const bare = key.kind == key_kind::flag || key.kind == key_kind::number;
    if (bare && (key.zero.empty() || text != key.zero)) {
        return refused(key);
    }
    return parse_value(key, text);
}

std::expected<config_value, std::string> parse_integer(config_key const& key, std::int64_t number) {
    bool const countable = key.kind == key_kind::number || key.kind == key_kind::bytes || key.kind == key_kind::time;
    if (!countable || number < 0) {
        return refused(key);
    }
    auto const value = scaled(static_cast<std::uint64_t>(number), key.kind == key_kind::time ? bare_number_of_time : 1);
    return checked(key, value ? std::optional<config_value>(*value) : std::nullopt);
}

std::expected<void, std::string> check_value(config_key const& key, config_value const& value) {
    if (auto const* const text = std::get_if<std::string>(&value)) {
        if (text->size() < key.min || text->size() > key.max || !is_word(*text)) {
            return refused(key);
        }
        return {};
    }
    auto const number = std::get<std::uint64_t>(value);
    bool const meant_zero = number == 0 && !key.zero.empty();
    bool const in_range = number >= key.min && number <= key.max;
    if (!meant_zero && (!in_range || (key.power_of_two && !std::has_single_bit(number)))) {
        return refused(key);
    }
    return {};
}

std::string format_value(config_key const& key, config_value const& value) {
    if (auto const* const text = std::get_if<std::string>(&value)) {
        return fmt::format("\"{}\"", *text);
    }
    auto const number = std::get<std::uint64_t>(value);
    if (number == 0 && !key.zero.empty()) {
        return fmt::format("\"{}\"", key.zero);
    }
    switch (key.kind) {
    case key_kind::flag:
        return number != 0 ? "true" : "false";
    case key_kind::time:
        // Code can set a negative duration; it is refused, but the refusal must show what it was.
        return static_cast<std::int64_t>(number) < 0
                   ? fmt::format("\"-{}\"", with_unit(std::uint64_t{0} - number, time_units))
                   : fmt::format("\"{}\"", with_unit(number, time_units));
    case key_kind::bytes: {
        auto const text = bytes_text(number);
        return text.ends_with('B') ? fmt::format("\"{}\"", text) : text;
    }
    case key_kind::choice:
        return number < key.words.size() ? fmt::format("\"{}\"", key.words[number]) : fmt::format("{}", number);
    case key_kind::number:
    case key_kind::text:
        break;
    }
    return fmt::format("{}", number);
}

std::string allowed_values(config_key const& key) {
    auto const zero = key.zero.empty() ? std::string() : fmt::format("\"{}\" or ", key.zero);
    switch (key.kind) {
    case key_kind::flag:
        return "true or false";
    case key_kind::number:
        return fmt::format("{}a {} from {} to {}", zero, key.power_of_two ? "power of two" : "whole number", key.min,
                           key.max);
    case key_kind::bytes:
        return fmt::format("{}a size from {} to {}, such as \"64KiB\" or a number of bytes", zero, bytes_text(key.min),
                           bytes_text(key.max));
    case key_kind::time:
        return fmt::format(
            "{}a time from {} to {}, such as \"1ms\" (ns, us, ms, s, min, h) or a number of microseconds", zero,
            with_unit(key.min, time_units), with_unit(key.max, time_units));
    case key_kind::choice:
        return list_of(key.words);
    case key_kind::text:
        break;
    }
    return fmt::format("{} to {} letters, digits, '-' or '_'", key.min, key.max);
}

std::string suggestion(std::string_view name, std::span<std::string const> candidates) {
    std::string_view best;
    auto best_distance = std::max<std::size_t>(name.size() / 3, 2) + 1;
    for (std::string_view const candidate : candidates) {
        // The right key in the wrong section is as good as a slip of the pen.
        bool const misplaced = last_part(candidate) == last_part(name);
        auto const d = misplaced ? std::size_t{1} : distance(name, candidate);
        if (d < best_distance) {
            best = candidate;
            best_distance = d;
        }
    }
    return best.empty() ? std::string() : fmt::format(" did you mean {}?", best);
}

bool valid_limit_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 64 && is_word(name);
}

std::string environment_name(std::string_view path) {
    std::string name = "MAGPIE_";
    for (char const c : path) {
        bool const lower = c >= 'a' && c <= 'z';
        name += lower ? static_cast<char>(c - 'a' + 'A') : c == '.' || c == '-' ? '_' : c;
    }
    return name;
}

}  // namespace magpie::detail
