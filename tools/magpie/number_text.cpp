#include "number_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace magpie::tools {

std::string format_count(std::uint64_t number) {
    std::string text = fmt::format("{}", number);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string three_digits(double number) {
    // The bounds lie where the next digit would be rounded up to one digit more.
    int const decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f}", number, decimals);
}

std::string format_short(double number) {
    static constexpr std::array<std::string_view, 5> suffixes = {"", "k", "M", "G", "T"};
    if (!(number > 0)) {
        return "0";
    }
    std::size_t suffix = 0;
    while (number >= 999.5 && suffix + 1 < suffixes.size()) {
        number /= 1000;
        ++suffix;
    }
    return fmt::format("{}{}", three_digits(number), suffixes[suffix]);
}

std::string format_bytes(double bytes) {
    static constexpr std::array<std::string_view, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (!(bytes > 0)) {
        return "0 B";
    }
    if (bytes < 1023.5) {
        return fmt::format("{:.0f} B", bytes);
    }
    std::size_t unit = 0;
    while (bytes >= 1023.5 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", three_digits(bytes), units[unit]);
}

std::expected<std::uint64_t, std::string> parse_bytes(std::string_view text) {
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    std::uint64_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view const unit = text.substr(static_cast<std::size_t>(end - text.data()));
    unsigned const shift = unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : 0;
    if (error != std::errc() || (shift == 0 && !unit.empty() && unit != "B") || number > most >> shift) {
        return std::unexpected(fmt::format("'{}' is no size: write 512, 64KiB or 1MiB; at most 1GiB", text));
    }
    return number << shift;
}

}  // namespace magpie::tools
