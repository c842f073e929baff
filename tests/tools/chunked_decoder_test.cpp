#include "magpie/chunked_decoder.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using magpie::tools::chunked_decoder;
using result = chunked_decoder::result;

namespace {

struct decoded {
    result outcome;
    std::uint64_t length;
    std::size_t left;  // bytes not taken

    bool operator==(decoded const&) const = default;
};

decoded decode(std::string_view bytes, std::uint64_t body_limit = 1000, std::size_t trailer_limit = 100) {
    chunked_decoder whole(body_limit, trailer_limit);
    std::string_view rest = bytes;
    decoded const answer{whole.consume(rest), whole.length(), rest.size()};

    // Byte by byte gives the same.
    chunked_decoder slow(body_limit, trailer_limit);
    result outcome = result::more;
    std::size_t used = 0;
    while (used < bytes.size() && outcome == result::more) {
        std::string_view one = bytes.substr(used, 1);
        outcome = slow.consume(one);
        used += one.empty() ? 1 : 0;
    }
    CHECK(outcome == answer.outcome);
    CHECK(slow.length() == answer.length);
    return answer;
}

result outcome(std::string_view bytes) {
    return decode(bytes).outcome;
}

}  // namespace

TEST_CASE("chunked_decoder: sound bodies") {
    CHECK(decode("0\r\n\r\n") == decoded{result::complete, 0, 0});
    CHECK(decode("5\r\nhello\r\n0\r\n\r\nnext") == decoded{result::complete, 5, 4});
    CHECK(decode("1\r\na\r\n0A\r\n0123456789\r\n000\r\n\r\n") == decoded{result::complete, 11, 0});
    CHECK(decode("3\r\n\r\n0\r\n0\r\n\r\n") == decoded{result::complete, 3, 0});  // data may look like framing
    CHECK(decode("5;a=\"b;c\";d\r\nhello\r\n0 ;x\r\n\r\n") == decoded{result::complete, 5, 0});
    CHECK(decode("0\r\nA: b\r\nC:\r\n\r\nx") == decoded{result::complete, 0, 1});
}

TEST_CASE("chunked_decoder: a body that is not finished wants more") {
    for (std::string_view const part : {"", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r",
                                        "5\r\nhello\r\n", "0\r\n", "0\r\nA: b\r\n", "0\r\n\r"}) {
        CAPTURE(part);
        CHECK(outcome(part) == result::more);
    }
}

TEST_CASE("chunked_decoder: malformed framing") {
    for (std::string_view const bad : {"\r\n",
                                       "x\r\n",
                                       "-5\r\n",
                                       "0x5\r\n",
                                       " 5\r\n",
                                       "5 5\r\n",
                                       "5 x\r\n",
                                       "5\n",
                                       "5\rx",
                                       "5;\x01",
                                       "5;a\n",
                                       "5\r\nhelloX",
                                       "5\r\nhello\rX",
                                       "5\r\nhello\n",
                                       "0\r\n: b\r\n",
                                       "0\r\n a: b\r\n",
                                       "0\r\nab\r\n",
                                       "0\r\na b: c\r\n",
                                       "0\r\na: \x7f",
                                       "0\r\n\n",
                                       "0\r\n\rx",
                                       "00000000000000001\r\n",
                                       "10000000000000000\r\n"}) {
        CAPTURE(bad);
        CHECK(outcome(bad) == result::malformed);
    }
}

TEST_CASE("chunked_decoder: limits hold to the byte") {
    CHECK(decode("5\r\nhello\r\n0\r\n\r\n", 5).outcome == result::complete);
    CHECK(decode("6\r\n", 5).outcome == result::body_too_large);
    CHECK(decode("3\r\nabc\r\n3\r\n", 5).outcome == result::body_too_large);
    CHECK(decode("FFFFFFFFFFFFFFFF\r\n", 5).outcome == result::body_too_large);
    CHECK(decode("1\r\na\r\nFFFFFFFFFFFFFFFF\r\n", 5).outcome == result::body_too_large);
    CHECK(decode("1;xx\r\na\r\n1\r\n", 5).outcome == result::more);
    CHECK(decode("1;xxx\r\na\r\n1\r\n", 5).outcome == result::body_too_large);  // extensions count
    CHECK(decode("0\r\na: b\r\n\r\n", 5, 4).outcome == result::complete);
    CHECK(decode("0\r\na: b\r\n\r\n", 5, 3).outcome == result::trailer_too_large);
    CHECK(decode("0\r\na: b\r\nc: d\r\n\r\n", 5, 7).outcome == result::trailer_too_large);
}

TEST_CASE("chunked_decoder: an error is final, and so is the end") {
    chunked_decoder failed(10, 10);
    std::string_view bytes = "zz";
    CHECK(failed.consume(bytes) == result::malformed);
    bytes = "0\r\n\r\n";
    CHECK(failed.consume(bytes) == result::malformed);

    chunked_decoder complete(10, 10);
    bytes = "0\r\n\r\n";
    CHECK(complete.consume(bytes) == result::complete);
    bytes = "zz";
    CHECK(complete.consume(bytes) == result::complete);
    CHECK(bytes == "zz");
}
