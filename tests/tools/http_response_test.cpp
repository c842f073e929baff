#include "http_harness.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using http_harness::run;
using http_harness::transcript;
using magpie::tools::http_response_event;
using magpie::tools::http_response_limits;
using magpie::tools::http_response_parser;

TEST_CASE("http_response_parser: a response gives status, length and what becomes of the connection") {
    http_response_parser parser;
    parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    REQUIRE(parser.next() == http_response_event::response);
    CHECK(parser.response().status == 200);
    CHECK(parser.response().body_length == 5);
    CHECK(parser.response().keep_alive);
    CHECK(parser.next() == http_response_event::more);
    CHECK(parser.idle());
}

TEST_CASE("http_response_parser: where bodies end") {
    auto const all = [](std::string_view stream) { return run(http_response_parser(), stream); };
    std::string const next = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    std::string const then = "404 | 1.1 keep | body 0";
    CHECK(all("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab" + next) == transcript{"200 | 1.1 keep | body 2", then});
    CHECK(all("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n" + next) ==
          transcript{"204 | 1.1 keep | body 0", then});
    CHECK(all("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + next) ==
          transcript{"304 | 1.1 keep | body 0", then});
    CHECK(all("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + next) ==
          transcript{"200 | 1.1 keep | body 5", then});
    CHECK(all("HTTP/1.1 200 OK\r\n\r\nup to the end") == transcript{"at the end: 200 | 1.1 close | body 13"});
    CHECK(all("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab") ==
          transcript{"at the end: 200 | 1.1 close | body 2"});
}

TEST_CASE("http_response_parser: an answer to HEAD has no body, whatever it says") {
    http_response_parser parser;
    parser.expect_head_response(true);
    std::string const answer = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n";
    CHECK(run(parser, answer + answer) == transcript{"200 | 1.1 keep | body 0", "200 | 1.1 keep | body 0"});
    CHECK(run(parser, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + answer).size() == 2);
}

TEST_CASE("http_response_parser: interim responses are skipped") {
    CHECK(run(http_response_parser(),
              "HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n"
              "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == transcript{"200 | 1.1 keep | body 0"});
    CHECK(run(http_response_parser(), "HTTP/1.1 101 Switching Protocols\r\n\r\n") ==
          transcript{"error malformed response"});
}

TEST_CASE("http_response_parser: whether the connection is kept") {
    auto const kept = [](std::string_view version, std::string_view fields) {
        std::string const stream =
            std::string(version) + " 200 OK\r\nContent-Length: 0\r\n" + std::string(fields) + "\r\n";
        return run(http_response_parser(), stream).at(0).find("keep") != std::string::npos;
    };
    CHECK(kept("HTTP/1.1", ""));
    CHECK_FALSE(kept("HTTP/1.1", "Connection: close\r\n"));
    CHECK_FALSE(kept("HTTP/1.0", ""));
    CHECK(kept("HTTP/1.0", "connection: Keep-Alive\r\n"));
}

TEST_CASE("http_response_parser: a response that is cut is an error, none at all is not") {
    auto const whole = std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(run(http_response_parser(), "") == transcript{});
    for (std::size_t length = 1; length < whole.size(); ++length) {
        CAPTURE(length);
        CHECK(run(http_response_parser(), whole.substr(0, length)) == transcript{"at the end: truncated response"});
    }
    CHECK(run(http_response_parser(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n") ==
          transcript{"at the end: truncated response"});
}

TEST_CASE("http_response_parser: malformed responses") {
    for (std::string_view const bad :
         {"garbage\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n",
          "HTTP/1.1 600 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 200 OK\n", "\r\n",
          "\x15\x03\x01", "HTTP/1.1 200 OK\r\nno colon\r\n", "HTTP/1.1 200 OK\r\n folded: 1\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"}) {
        CAPTURE(bad);
        CHECK(run(http_response_parser(), bad) == transcript{"error malformed response"});
    }
    CHECK(run(http_response_parser(), "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n") ==
          transcript{"200 | 1.1 keep | body 0"});
}

TEST_CASE("http_response_parser: limits") {
    http_response_limits limits;
    limits.status_line = 20;
    limits.fields = 40;
    limits.body = 4;
    auto const last = [&](std::string_view stream) { return run(http_response_parser(limits), stream).back(); };
    std::string const ok = "HTTP/1.1 200 OK\r\n";
    CHECK(last("HTTP/1.1 200 All is well\r\n") == "error response too large");
    CHECK(last(ok + "X: " + std::string(40, 'x') + "\r\n") == "error response too large");
    CHECK(last(ok + "Content-Length: 4\r\n\r\nabcd") == "200 | 1.1 keep | body 4");
    CHECK(last(ok + "Content-Length: 5\r\n\r\n") == "error response too large");
    CHECK(last(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\n") == "error response too large");
    CHECK(last(ok + "\r\nabcd") == "at the end: 200 | 1.1 close | body 4");
    CHECK(last(ok + "\r\nabcde") == "error response too large");
}

TEST_CASE("http_response_parser: bytes behind the last response show") {
    http_response_parser parser;
    parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nsurplus");
    REQUIRE(parser.next() == http_response_event::response);
    CHECK_FALSE(parser.idle());
}
