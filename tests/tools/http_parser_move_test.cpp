#include "http_harness.hpp"
#include "magpie/http_parser.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

using magpie::tools::http_event;
using magpie::tools::http_parser;

namespace {

constexpr std::string_view stream =
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    "POST /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nabcde"
    "GET /3?q HTTP/1.1\r\nHost: c\r\n\r\n"
    "PUT /4 HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    "GET /5 HTTP/1.0\r\n\r\n";

// Gives the bytes up to `cut`, then the rest, and takes the input away after every request.
http_harness::transcript parse_moving(std::size_t cut) {
    http_harness::transcript out;
    http_parser parser;
    std::string store;
    for (std::string_view const part : {stream.substr(0, cut), stream.substr(cut)}) {
        std::optional<http_harness::piece> fed(part);
        parser.feed(fed->view());
        for (auto event = parser.next(); event != http_event::more; event = parser.next()) {
            REQUIRE(event == http_event::request);
            out.push_back(http_harness::describe(parser.request()));
            parser.move_input_to(store);
            fed.reset();
        }
    }
    CHECK(parser.idle());
    return out;
}

}  // namespace

TEST_CASE("http_parser: the input may move to another place after every request") {
    http_harness::transcript expected;
    http_parser parser;
    REQUIRE(http_harness::take(parser, stream, expected));
    REQUIRE(expected.size() == 5);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        CAPTURE(cut);
        CHECK(parse_moving(cut) == expected);
    }
}

TEST_CASE("http_parser: with nothing left to move the next bytes are fed as ever") {
    http_parser parser;
    std::string store;
    parser.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(parser.next() == http_event::request);
    parser.move_input_to(store);
    CHECK(store.empty());
    CHECK(parser.idle());
    CHECK(parser.next() == http_event::more);
    parser.feed("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(parser.next() == http_event::request);
    CHECK(parser.request().path == "/next");
}
