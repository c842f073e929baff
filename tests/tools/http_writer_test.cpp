#include "http_harness.hpp"
#include "magpie/http_writer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace magpie::tools;
using std::chrono::sys_seconds;

namespace {

std::string date_of(std::int64_t seconds) {
    std::string text;
    append_http_date(text, sys_seconds(std::chrono::seconds(seconds)));
    return text;
}

}  // namespace

TEST_CASE("http_writer: a response, word for word") {
    std::string out = "kept: ";
    append_response(out, {.date = sys_seconds(std::chrono::seconds(784111777))}, "hello\n");
    CHECK(out == "kept: HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\nhello\n");
}

TEST_CASE("http_writer: what is optional") {
    std::string out;
    append_response_head(out, {.status = 405, .content_type = "", .allow = "GET, HEAD", .keep_alive = false});
    CHECK(out ==
          "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n");
}

TEST_CASE("http_writer: an old client is told that its connection is kept") {
    std::string out;
    append_response_head(out, {.content_type = "", .minor_version = 0});
    CHECK(out == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    out.clear();
    append_response_head(out, {.content_type = "", .keep_alive = false, .minor_version = 0});
    CHECK(out == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("http_writer: an answer to HEAD has the length and not the body") {
    std::string out;
    append_response(out, {.content_type = ""}, "hello", true);
    CHECK(out == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

TEST_CASE("http_writer: dates") {
    CHECK(date_of(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(date_of(951782400 + 86399) == "Tue, 29 Feb 2000 23:59:59 GMT");
    CHECK(date_of(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
    CHECK(date_of(253402300799) == "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST_CASE("http_writer: every status that is sent has its phrase, and the line is sound without one") {
    for (int const status : {100, 200, 400, 404, 405, 408, 413, 414, 431, 500, 501, 503, 505}) {
        CAPTURE(status);
        CHECK_FALSE(reason_phrase(status).empty());
    }
    std::string out;
    append_response(out, {.status = 299}, "x");
    CHECK(http_harness::run(http_response_parser(), out) == http_harness::transcript{"299 | 1.1 keep | body 1"});
}

TEST_CASE("http_writer: both parsers read what is written") {
    std::string out;
    append_response(out, {.date = sys_seconds{}}, "abc");
    append_response(out, {.status = 404, .minor_version = 0}, "");
    append_response(out, {.status = 400, .keep_alive = false}, "why\n");
    CHECK(http_harness::run(http_response_parser(), out) ==
          http_harness::transcript{"200 | 1.1 keep | body 3", "404 | 1.1 keep | body 0", "400 | 1.1 close | body 4"});

    std::string requests;
    append_request(requests, "GET", "/a?b", "h:81");
    append_request(requests, "HEAD", "/", "[::1]", false);
    CHECK(http_harness::run(http_parser(), requests) ==
          http_harness::transcript{"GET | /a?b | /a | b | host h:81 | 1.1 keep | body 0",
                                   "HEAD | / | / |  | host [::1] | 1.1 close | body 0"});
}
