#include <magpie/runtime/scheduler/config_keys.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

using namespace magpie::detail;

namespace {

config_key const& key(std::string_view path) {
    for (auto const keys : {config_keys(), limit_keys()}) {
        for (auto const& row : keys) {
            if (row.path == path) {
                return row;
            }
        }
    }
    FAIL("no key " << path);
    return config_keys().front();
}

std::optional<std::uint64_t> number(std::expected<config_value, std::string> const& value) {
    return value ? std::optional(std::get<std::uint64_t>(*value)) : std::nullopt;
}

constexpr std::uint64_t ms = 1'000'000;

void check_rows(std::span<config_key const> rows, void const* standard) {
    std::set<std::string> variables;
    for (auto const& row : rows) {
        INFO(row.path);
        CHECK(variables.insert(environment_name(row.path)).second);
        CHECK(row.meaning.ends_with('.'));
        auto const value = row.get(standard);
        CHECK(check_value(row, value));
        auto text = format_value(row, value);
        if (text.starts_with('"')) {
            text = text.substr(1, text.size() - 2);
            CHECK(parse_quoted(row, text) == value);
        }
        CHECK(parse_value(row, text) == value);
        CHECK_FALSE(parse_value(row, "?"));
        CHECK_FALSE(parse_value(row, ""));
        CHECK(allowed_values(row).size() > 3);
    }
}

}  // namespace

TEST_CASE("every key has a default that is allowed and survives being written and read") {
    magpie::config const standard;
    check_rows(config_keys(), &standard);
    magpie::limit_config const limit;
    check_rows(limit_keys(), &limit);
}

TEST_CASE("every key reaches a member of its own") {
    for (auto const& row : config_keys()) {
        INFO(row.path);
        magpie::config c;
        config_value const before = row.get(&c);
        config_value const other = row.kind == key_kind::text                   ? config_value{std::string("other")}
                                   : std::get<std::uint64_t>(before) == row.min ? config_value{row.max}
                                                                                : config_value{row.min};
        std::vector<config_value> untouched;
        for (auto const& sibling : config_keys()) {
            untouched.push_back(sibling.get(&c));
        }
        row.set(&c, other);
        for (std::size_t i = 0; i < untouched.size(); ++i) {
            auto const& sibling = config_keys()[i];
            CHECK(sibling.get(&c) == (&sibling == &row ? other : untouched[i]));
        }
    }
}

TEST_CASE("times") {
    auto const& spin = key("runtime.spin");
    auto const& stall = key("runtime.stall_threshold");
    CHECK(number(parse_value(spin, "50us")) == 50'000);
    CHECK(number(parse_value(spin, "50 us")) == 50'000);
    CHECK(number(parse_value(spin, "50\u00b5s")) == 50'000);
    CHECK(number(parse_value(spin, "1500ns")) == 1'500);
    CHECK(number(parse_value(spin, "1.5ms")) == 1'500'000);
    CHECK(number(parse_value(spin, "0.001s")) == ms);
    CHECK(number(parse_value(spin, "off")) == 0);
    CHECK(number(parse_value(spin, "7")) == 7'000);
    CHECK(number(parse_integer(spin, 7)) == 7'000);
    CHECK(number(parse_value(stall, "1min")) == 60'000 * ms);
    CHECK(number(parse_value(stall, "1h")) == 3'600'000 * ms);
    for (auto const* bad : {"11ms", "999ns", "ms", "1.ms", ".5ms", "1.0000000001s", "-1ms", "1 ms ", " 1ms", "1  ms",
                            "1m", "1.5", "1e3us", "99999999999999999999h", "5124095.999999999h", "1us1us"}) {
        INFO(bad);
        CHECK_FALSE(parse_value(spin, bad));
    }
    CHECK_FALSE(parse_value(stall, "5124095.999999999h"));  // 64 bits hold its hours, but not its nanoseconds
    CHECK_FALSE(parse_integer(spin, -1));
    CHECK_FALSE(parse_integer(spin, std::numeric_limits<std::int64_t>::max()));
    CHECK(format_value(spin, std::uint64_t{1'500'000}) == "\"1500us\"");
    CHECK(format_value(spin, std::uint64_t{0}) == "\"off\"");
    CHECK(format_value(stall, std::uint64_t{7'200'000 * ms}) == "\"2h\"");
    CHECK(format_value(stall, ~std::uint64_t{0}) == "\"-1ns\"");
}

TEST_CASE("sizes") {
    auto const& cache = key("runtime.frame_cache");
    CHECK(number(parse_value(cache, "64KiB")) == 65'536);
    CHECK(number(parse_value(cache, "64 KiB")) == 65'536);
    CHECK(number(parse_value(cache, "1.5MiB")) == 1'572'864);
    CHECK(number(parse_value(cache, "65536")) == 65'536);
    CHECK(number(parse_value(cache, "65536B")) == 65'536);
    CHECK(number(parse_integer(cache, 65'536)) == 65'536);
    CHECK(number(parse_value(cache, "off")) == 0);
    for (auto const* bad : {"64KB", "64K", "1B", "2GiB", "4.00001KiB", "17179869184GiB", "-1", "KiB"}) {
        INFO(bad);
        CHECK_FALSE(parse_value(cache, bad));
    }
    CHECK(format_value(cache, std::uint64_t{65'536}) == "\"64KiB\"");
    CHECK(format_value(cache, std::uint64_t{65'537}) == "65537");
}

TEST_CASE("numbers, and the word that stands for 0") {
    auto const& workers = key("runtime.workers");
    CHECK(number(parse_value(workers, "auto")) == 0);
    CHECK(number(parse_value(workers, "0")) == 0);
    CHECK(number(parse_value(workers, "1024")) == 1024);
    CHECK(number(parse_integer(workers, 1)) == 1);
    CHECK(number(parse_quoted(workers, "auto")) == 0);
    CHECK_FALSE(parse_quoted(workers, "4"));
    for (auto const* bad : {"1025", "-1", "+1", "1.0", "0x4", " 4", "4 ", "four", "18446744073709551616"}) {
        INFO(bad);
        CHECK_FALSE(parse_value(workers, bad));
    }
    CHECK_FALSE(parse_value(key("runtime.blocking_threads"), "0"));
    CHECK_FALSE(parse_integer(key("runtime.seed"), -1));
    CHECK(number(parse_value(key("runtime.seed"), "18446744073709551615")) == ~std::uint64_t{0});
}

TEST_CASE("powers of two") {
    auto const& entries = key("io.ring_entries");
    CHECK(number(parse_integer(entries, 8)) == 8);
    CHECK(number(parse_integer(entries, 32'768)) == 32'768);
    for (int const bad : {0, 1, 4, 9, 100, 65'536}) {
        INFO(bad);
        CHECK_FALSE(parse_integer(entries, bad));
    }
}

TEST_CASE("flags, choices and texts") {
    auto const& pin = key("runtime.pin");
    CHECK(number(parse_value(pin, "true")) == 1);
    CHECK(number(parse_value(pin, "1")) == 1);
    CHECK(number(parse_value(pin, "false")) == 0);
    CHECK(number(parse_value(pin, "0")) == 0);
    CHECK_FALSE(parse_value(pin, "yes"));
    CHECK_FALSE(parse_quoted(pin, "true"));
    CHECK_FALSE(parse_integer(pin, 1));
    auto const& backend = key("io.backend");
    CHECK(number(parse_value(backend, "poll")) == 2);
    CHECK_FALSE(parse_value(backend, "Poll"));
    CHECK_FALSE(parse_integer(backend, 2));
    auto const& name = key("runtime.name");
    CHECK(parse_value(name, "web-1_A") == config_value{std::string("web-1_A")});
    CHECK_FALSE(parse_value(name, "12345678901"));
    CHECK_FALSE(parse_value(name, "a b"));
    CHECK_FALSE(parse_value(name, "\""));
    CHECK_FALSE(parse_integer(name, 3));
}

TEST_CASE("what is refused is told what is allowed") {
    auto const why = [](std::string_view path, std::string_view text) { return parse_value(key(path), text).error(); };
    CHECK(why("runtime.workers", "x") == "is not allowed: use \"auto\" or a whole number from 1 to 1024");
    CHECK(why("runtime.pin", "x") == "is not allowed: use true or false");
    CHECK(why("runtime.spin", "x") ==
          "is not allowed: use \"off\" or a time from 1us to 10ms, such as \"1ms\" (ns, us, ms, s, min, h) or a number "
          "of microseconds");
    CHECK(why("io.buffer_ring.size", "x") ==
          "is not allowed: use a size from 256 to 1MiB, such as \"64KiB\" or a number of bytes");
    CHECK(why("io.cq_entries", "x") == "is not allowed: use a power of two from 16 to 65536");
    CHECK(why("io.backend", "x") == "is not allowed: use \"auto\", \"io_uring\" or \"poll\"");
    CHECK(why("runtime.name", "") == "is not allowed: use 1 to 10 letters, digits, '-' or '_'");
}

TEST_CASE("suggestions are for slips of the pen and for the wrong section, not for anything") {
    std::vector<std::string> const paths{"runtime.workers", "runtime.pin", "io.backend"};
    CHECK(suggestion("runtime.wrokers", paths) == " did you mean runtime.workers?");
    CHECK(suggestion("runtime.worker", paths) == " did you mean runtime.workers?");
    CHECK(suggestion("runtime.backend", paths) == " did you mean io.backend?");
    CHECK(suggestion("backend", paths) == " did you mean io.backend?");
    CHECK(suggestion("colour", paths).empty());
}

TEST_CASE("names of limits and variables") {
    CHECK(valid_limit_name("Up-stream_2"));
    CHECK_FALSE(valid_limit_name(""));
    CHECK_FALSE(valid_limit_name("a.b"));
    CHECK_FALSE(valid_limit_name(std::string(65, 'a')));
    CHECK(environment_name("io.buffer_ring.size") == "MAGPIE_IO_BUFFER_RING_SIZE");
    CHECK(environment_name("limits.up-2") == "MAGPIE_LIMITS_UP_2");
}
