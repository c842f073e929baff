#include "http_harness.hpp"
#include "magpie/http_head_reader.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using magpie::tools::http_head_reader;
using result = http_head_reader::result;

namespace {

std::string line_of(http_head_reader const& reader) {
    return std::string(reader.text(reader.line()));
}

// One byte at a time, each in memory that is gone afterwards.
result feed_bytes(http_head_reader& reader, std::string_view bytes, std::size_t limit) {
    result last = result::more;
    for (char const c : bytes) {
        http_harness::piece const one({&c, 1});
        reader.feed(one.view());
        last = reader.next_line(limit);
        if (last != result::more) break;
    }
    return last;
}

}  // namespace

TEST_CASE("http_head_reader: lines of a head that lies whole stay where they are") {
    std::string const bytes = "first\r\n\r\nrest";
    http_head_reader reader;
    reader.begin();
    CHECK(reader.empty());
    reader.feed(bytes);
    CHECK_FALSE(reader.empty());
    REQUIRE(reader.next_line(100) == result::line);
    CHECK(line_of(reader) == "first");
    CHECK(reader.text(reader.line()).data() == bytes.data());
    REQUIRE(reader.next_line(100) == result::line);
    CHECK(line_of(reader).empty());
    reader.end_head();
    CHECK(reader.rest() == "rest");
    CHECK(reader.text({0, 5}) == "first");
}

TEST_CASE("http_head_reader: a head in pieces is collected, and only the head") {
    http_head_reader reader;
    reader.begin();
    {
        http_harness::piece const first("fir");
        reader.feed(first.view());
        REQUIRE(reader.next_line(100) == result::more);
    }
    http_harness::piece const second("st\r\n\r\nthe next message");
    reader.feed(second.view());
    REQUIRE(reader.next_line(100) == result::line);
    auto const slice = reader.line();
    REQUIRE(reader.next_line(100) == result::line);
    reader.end_head();
    CHECK(reader.text(slice) == "first");
    CHECK(reader.rest() == "the next message");
    reader.begin();
    reader.skip(reader.rest().size());
    CHECK(reader.empty());
}

TEST_CASE("http_head_reader: keep() saves a head from the end of its bytes") {
    http_head_reader reader;
    reader.begin();
    {
        http_harness::piece const bytes("head\r\nbody");
        reader.feed(bytes.view());
        REQUIRE(reader.next_line(100) == result::line);
        reader.end_head();
        reader.keep();
        CHECK(reader.rest() == "body");
        reader.skip(4);
    }
    CHECK(line_of(reader) == "head");
}

TEST_CASE("http_head_reader: control characters are found at every place of a word") {
    for (std::size_t length = 0; length < 40; ++length) {
        for (int code = 0; code < 256; ++code) {
            std::string bytes(length, 'x');
            bytes += static_cast<char>(code);
            bytes += "yyyyyyyyyyyy\r\n";
            bool const refused = code == 0x7f || (code < 0x20 && code != '\t');
            CAPTURE(length);
            CAPTURE(code);
            http_head_reader reader;
            reader.begin();
            reader.feed(bytes);
            REQUIRE(reader.next_line(100) == (refused ? result::malformed : result::line));
            if (!refused) REQUIRE(line_of(reader).size() == length + 13);
        }
    }
}

TEST_CASE("http_head_reader: only CRLF ends a line") {
    for (std::string_view const bad : {"a\n", "a\rb", "a\r\r\n", "\n"}) {
        CAPTURE(bad);
        http_head_reader reader;
        reader.begin();
        reader.feed(bad);
        CHECK(reader.next_line(100) == result::malformed);
        http_head_reader slow;
        slow.begin();
        CHECK(feed_bytes(slow, bad, 100) == result::malformed);
    }
}

TEST_CASE("http_head_reader: the limit counts the CRLF, in one piece and in many") {
    for (std::size_t const limit : {6U, 7U, 8U}) {
        CAPTURE(limit);
        result const expected = limit < 7 ? result::too_long : result::line;
        http_head_reader reader;
        reader.begin();
        reader.feed("12345\r\n");
        CHECK(reader.next_line(limit) == expected);
        http_head_reader slow;
        slow.begin();
        CHECK(feed_bytes(slow, "12345\r\n", limit) == expected);
    }
    // What stands behind the limit is not looked at: a wrong byte there changes nothing.
    http_head_reader reader;
    reader.begin();
    reader.feed("123456\n");
    CHECK(reader.next_line(6) == result::too_long);
}

TEST_CASE("http_head_reader: many lines in pieces keep their places") {
    std::string stream;
    std::vector<std::string> expected;
    for (int line = 0; line < 200; ++line) {
        expected.push_back(std::string(static_cast<std::size_t>(line), 'a'));
        stream += expected.back() + "\r\n";
    }
    http_head_reader reader;
    reader.begin();
    std::vector<magpie::tools::http_slice> slices;
    for (std::size_t at = 0; at < stream.size(); at += 7) {
        http_harness::piece const bytes(std::string_view(stream).substr(at, 7));
        reader.feed(bytes.view());
        while (reader.next_line(1000) == result::line) slices.push_back(reader.line());
    }
    REQUIRE(slices.size() == expected.size());
    for (std::size_t line = 0; line < slices.size(); ++line) {
        CHECK(reader.text(slices[line]) == expected[line]);
    }
}
