#include "magpie/number_text.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace magpie::tools;

TEST_CASE("number_text: counts are cut into thousands") {
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1000) == "1,000");
    CHECK(format_count(100000) == "100,000");
    CHECK(format_count(1234567) == "1,234,567");
    CHECK(format_count(std::numeric_limits<std::uint64_t>::max()) == "18,446,744,073,709,551,615");
}

TEST_CASE("number_text: three digits, rounded once") {
    CHECK(three_digits(0.123) == "0.12");
    CHECK(three_digits(9.994) == "9.99");
    CHECK(three_digits(9.996) == "10.0");
    CHECK(three_digits(99.94) == "99.9");
    CHECK(three_digits(99.96) == "100");
    CHECK(three_digits(1234.6) == "1235");
}

TEST_CASE("number_text: short numbers") {
    CHECK(format_short(0) == "0");
    CHECK(format_short(-1) == "0");
    CHECK(format_short(std::numeric_limits<double>::quiet_NaN()) == "0");
    CHECK(format_short(0.5) == "0.50");
    CHECK(format_short(999.4) == "999");
    CHECK(format_short(999.6) == "1.00k");
    CHECK(format_short(12345) == "12.3k");
    CHECK(format_short(999'600) == "1.00M");
    CHECK(format_short(4.56e9) == "4.56G");
    CHECK(format_short(1e12) == "1.00T");
}

TEST_CASE("number_text: bytes") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(1024) == "1.00 KiB");
    CHECK(format_bytes(1536) == "1.50 KiB");
    CHECK(format_bytes(1048575) == "1.00 MiB");
    CHECK(format_bytes(12.3 * 1024 * 1024) == "12.3 MiB");
    CHECK(format_bytes(5e12) == "4.55 TiB");
}

TEST_CASE("number_text: sizes are read with their units") {
    CHECK(parse_bytes("0").value() == 0);
    CHECK(parse_bytes("512").value() == 512);
    CHECK(parse_bytes("512B").value() == 512);
    CHECK(parse_bytes("64KiB").value() == 65536);
    CHECK(parse_bytes("1MiB").value() == 1 << 20);
    CHECK(parse_bytes("1GiB").value() == 1 << 30);
    for (char const* const bad : {"", "KiB", "-1", "+1", "1 KiB", "1kib", "1KB", "1.5MiB", "2GiB", "1073741825",
                                  "99999999999999999999", "17179869184GiB"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_bytes(bad).has_value());
    }
}
