#include "magpie/duration_text.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>

using magpie::tools::format_clock;
using magpie::tools::format_duration;
using magpie::tools::parse_duration;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

TEST_CASE("duration_text: durations that people write") {
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("20ms") == 20ms);
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("250us") == 250us);
    CHECK(parse_duration("7ns") == 7ns);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("1.5h") == 90min);
    CHECK(parse_duration("0s") == 0s);
    CHECK(parse_duration("1m30s") == 90s);
    CHECK(parse_duration("1h2m3s4ms5us6ns") == 1h + 2min + 3s + 4ms + 5us + 6ns);
    CHECK(parse_duration("0.000000001s") == 1ns);
    CHECK(parse_duration("0.0000000019s") == 1ns);
    CHECK(parse_duration("1.9ns") == 1ns);
    CHECK(parse_duration("0.000000001h") == 3600ns);
    CHECK(parse_duration("1000h") == 1000h);
}

TEST_CASE("duration_text: what is no duration is refused in one sentence that names it") {
    for (std::string_view const bad :
         {"",     "10",    "s",    "ms",   "-1s",  "+1s",  "1 s",   " 1s",      "1s ",   "1.s",
          ".5s",  "1..5s", "1,5s", "1sec", "1S",   "1s1s", "1ms1s", "1000h1ns", "1001h", "99999999999999999999s",
          "1e3s", "1s2",   "nan",  "0x1s", "1h.5s"}) {
        CAPTURE(bad);
        auto const parsed = parse_duration(bad);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().starts_with("'" + std::string(bad) + "'"));
        CHECK(parsed.error().find('\n') == std::string::npos);
    }
}

TEST_CASE("duration_text: three digits and the unit that fits") {
    CHECK(format_duration(0ns) == "0 s");
    CHECK(format_duration(1ns) == "1 ns");
    CHECK(format_duration(999ns) == "999 ns");
    CHECK(format_duration(1000ns) == "1.00 µs");
    CHECK(format_duration(12345ns) == "12.3 µs");
    CHECK(format_duration(999'499ns) == "999 µs");
    CHECK(format_duration(999'500ns) == "1.00 ms");
    CHECK(format_duration(9'995'000ns) == "10.0 ms");
    CHECK(format_duration(1200ms) == "1.20 s");
    CHECK(format_duration(59'949ms) == "59.9 s");
    CHECK(format_duration(59'950ms) == "1 min 00 s");
    CHECK(format_duration(125s) == "2 min 05 s");
    CHECK(format_duration(3599'600ms) == "1 h 00 min");
    CHECK(format_duration(62min) == "1 h 02 min");
    CHECK(format_duration(-5ms) == "-5.00 ms");
    CHECK(format_duration(nanoseconds::min()) == "-" + format_duration(nanoseconds::max()));
}

TEST_CASE("duration_text: a clock rounds up") {
    CHECK(format_clock(0s) == "0:00");
    CHECK(format_clock(-1s) == "0:00");
    CHECK(format_clock(1ns) == "0:01");
    CHECK(format_clock(3s) == "0:03");
    CHECK(format_clock(65s) == "1:05");
    CHECK(format_clock(59'001ms) == "1:00");
    CHECK(format_clock(1h + 2min + 3s) == "1:02:03");
}
