#include "magpie/echo_server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string_view>

using magpie::tools::parse_burn_rule;
using namespace std::chrono_literals;

TEST_CASE("burn rule: a byte, as itself or as a number, and a duration") {
    CHECK(parse_burn_rule("x:5ms")->first == 'x');
    CHECK(parse_burn_rule("x:5ms")->time == 5ms);
    CHECK(parse_burn_rule("0x7a:1s")->first == 'z');
    CHECK(parse_burn_rule("0xff:1s")->first == '\xff');
    CHECK(parse_burn_rule("0x0:10s")->first == '\0');
    CHECK(parse_burn_rule("::20us")->first == ':');
    CHECK(parse_burn_rule("0:20us")->first == '0');
}

TEST_CASE("burn rule: what is none") {
    for (std::string_view const bad : {"", "x", ":", "x:", ":1ms", "xy:1ms", "0x:1ms", "0x1ff:1ms", "0xzz:1ms", "x:1",
                                       "x:-1ms", "x:11s", "x:soon", "::", "x 1ms"}) {
        CAPTURE(bad);
        auto const rule = parse_burn_rule(bad);
        REQUIRE_FALSE(rule.has_value());
        CHECK(rule.error().find("BYTE:DURATION") != std::string_view::npos);
    }
}
