#include "magpie/http_syntax.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace magpie::tools;
using namespace std::string_view_literals;

TEST_CASE("http_syntax: tokens") {
    CHECK(is_token("GET"));
    CHECK(is_token("x-1!#$%&'*+.^_`|~"));
    CHECK_FALSE(is_token(""));
    for (char const c : "\"(),/:;<=>?@[\\]{} \t\r\n\x7f\x80\xff\0"sv) {
        CAPTURE(static_cast<int>(c));
        CHECK_FALSE(is_token(std::string("a") + c + "b"));
    }
}

TEST_CASE("http_syntax: a text belongs to a class when every character does") {
    CHECK(all_of_class("", http_syntax::target_char));
    CHECK(all_of_class("/a?b=%20[]\"", http_syntax::target_char));
    CHECK_FALSE(all_of_class("/a#b", http_syntax::target_char));
    CHECK_FALSE(all_of_class("#/ab", http_syntax::target_char));
    CHECK_FALSE(all_of_class("/a b", http_syntax::target_char));
    CHECK(all_of_class("[::1]:80", http_syntax::host_char));
    CHECK_FALSE(all_of_class("a/b", http_syntax::host_char));
}

TEST_CASE("http_syntax: comparison folds ASCII letters and nothing else") {
    CHECK(equals_ignoring_case("Content-LENGTH", "content-length"));
    CHECK_FALSE(equals_ignoring_case("content-lengt", "content-length"));
    CHECK_FALSE(equals_ignoring_case("ab", "ac"));
    CHECK_FALSE(equals_ignoring_case("[", "{"));  // 32 apart, as letters of both cases are
    CHECK_FALSE(equals_ignoring_case("@", "`"));
}

TEST_CASE("http_syntax: trimming takes spaces and tabs off both ends") {
    CHECK(trimmed(" \t a \t b\t ") == "a \t b");
    CHECK(trimmed("a") == "a");
    CHECK(trimmed(" \t").empty());
    CHECK(trimmed("").empty());
}

TEST_CASE("http_syntax: digits") {
    CHECK(parse_digits("0") == 0);
    CHECK(parse_digits("0012") == 12);
    CHECK(parse_digits("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
    CHECK(parse_digits("18446744073709551616") == std::numeric_limits<std::uint64_t>::max());
    CHECK(parse_digits("99999999999999999999999990") == std::numeric_limits<std::uint64_t>::max());
    for (auto const bad : {"", " 1", "1 ", "-1", "+1", "1.0", "0x1", "a", "99999999999999999999999990x"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_digits(bad).has_value());
    }
}

TEST_CASE("http_syntax: elements of a list") {
    std::vector<std::string> found;
    for_each_element(" a ,, b c\t, ,d,", [&](std::string_view element) { found.emplace_back(element); });
    CHECK(found == std::vector<std::string>{"a", "b c", "d"});
    for_each_element("", [&](std::string_view) { FAIL("an empty list has no element"); });
}

TEST_CASE("http_syntax: a field is a name, a colon and a value") {
    auto const field = split_field("Name: \t value: x ");
    REQUIRE(field.has_value());
    CHECK(field->name == "Name");
    CHECK(field->value == "value: x");
    CHECK(split_field("Name:")->value.empty());
    for (auto const bad : {"", "name", ":", " a: b", "a : b", "a b: c"}) {
        CAPTURE(bad);
        CHECK_FALSE(split_field(bad).has_value());
    }
}
