#include "magpie/echo_rules.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string_view>

using magpie::tools::parse_size_rule;
using magpie::tools::parse_time_rule;
using namespace std::chrono_literals;

TEST_CASE("time rule: a byte, as itself or as a number, and a duration") {
    CHECK(parse_time_rule("x:5ms")->first == 'x');
    CHECK(parse_time_rule("x:5ms")->time == 5ms);
    CHECK(parse_time_rule("0x7a:1s")->first == 'z');
    CHECK(parse_time_rule("0xff:1s")->first == '\xff');
    CHECK(parse_time_rule("0x0:10s")->first == '\0');
    CHECK(parse_time_rule("::20us")->first == ':');
    CHECK(parse_time_rule("0:20us")->first == '0');
}

TEST_CASE("time rule: what is none") {
    for (std::string_view const bad : {"", "x", ":", "x:", ":1ms", "xy:1ms", "0x:1ms", "0x1ff:1ms", "0xzz:1ms", "x:1",
                                       "x:-1ms", "x:11s", "x:soon", "::", "x 1ms"}) {
        CAPTURE(bad);
        auto const rule = parse_time_rule(bad);
        REQUIRE_FALSE(rule.has_value());
        CHECK(rule.error().find("BYTE:DURATION") != std::string_view::npos);
    }
}

TEST_CASE("size rule: a byte and how many bytes are the answer") {
    CHECK(parse_size_rule("L:1MiB")->first == 'L');
    CHECK(parse_size_rule("L:1MiB")->size == 1 << 20);
    CHECK(parse_size_rule("0x0:1")->first == '\0');
    CHECK(parse_size_rule("::64KiB")->size == 65536);
    CHECK(parse_size_rule("x:1GiB")->size == 1 << 30);
}

TEST_CASE("size rule: what is none") {
    for (std::string_view const bad : {"", "x", "x:", ":1", "x:0", "x:1MB", "x:2GiB", "x:-1", "x:1 KiB", "xy:1"}) {
        CAPTURE(bad);
        auto const rule = parse_size_rule(bad);
        REQUIRE_FALSE(rule.has_value());
        CHECK(rule.error().find("BYTE:SIZE") != std::string_view::npos);
    }
}
