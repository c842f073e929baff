#include "http_harness.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using http_harness::run;
using http_harness::transcript;
using magpie::tools::http_event;
using magpie::tools::http_limits;
using magpie::tools::http_parser;

namespace {

// The status that a stream is refused with, 0 when it is not.
int refusal(std::string_view stream, http_limits limits = {}) {
    http_parser parser(limits);
    transcript taken;
    bool const sound = http_harness::take(parser, stream, taken);
    return sound ? 0 : parser.error_status();
}

// A sound request with these field lines more.
std::string with_fields(std::string_view fields, std::string_view request_line = "GET / HTTP/1.1") {
    return std::string(request_line) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

}  // namespace

TEST_CASE("http_parser: a request gives its parts") {
    http_parser parser;
    parser.feed(
        "GET /sleep?ms=10&x HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n");
    REQUIRE(parser.next() == http_event::request);
    auto const request = parser.request();
    CHECK(request.method == "GET");
    CHECK(request.target == "/sleep?ms=10&x");
    CHECK(request.path == "/sleep");
    CHECK(request.query == "ms=10&x");
    CHECK(request.host == "localhost:8080");
    CHECK(request.minor_version == 1);
    CHECK(request.keep_alive);
    CHECK(request.body_length == 0);
    CHECK(parser.next() == http_event::more);
    CHECK(parser.idle());
}

TEST_CASE("http_parser: a whole request is not copied") {
    std::string const stream = "GET /path HTTP/1.1\r\nHost: a\r\n\r\n";
    http_parser parser;
    parser.feed(stream);
    REQUIRE(parser.next() == http_event::request);
    CHECK(parser.request().path.data() == stream.data() + 4);
}

TEST_CASE("http_parser: several requests in one piece come one after the other") {
    CHECK(run(http_parser(), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
                             "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                             "HEAD /c HTTP/1.0\r\n\r\n") ==
          transcript{"GET | /a | /a |  | host h | 1.1 keep | body 0", "POST | /b | /b |  | host h | 1.1 keep | body 5",
                     "HEAD | /c | /c |  | no host | 1.0 close | body 0"});
}

TEST_CASE("http_parser: who wants the connection kept") {
    auto const kept = [](std::string const& stream) {
        http_parser parser;
        parser.feed(stream);
        REQUIRE(parser.next() == http_event::request);
        return parser.request().keep_alive;
    };
    CHECK(kept(with_fields("")));
    CHECK(kept(with_fields("Connection: Keep-Alive\r\n")));
    CHECK(kept(with_fields("Connection: closed, upgrade\r\n")));
    CHECK_FALSE(kept(with_fields("Connection: close\r\n")));
    CHECK_FALSE(kept(with_fields("cOnnection:upgrade ,\tCLOSE\r\n")));
    CHECK_FALSE(kept(with_fields("Connection: keep-alive\r\nConnection: close\r\n")));
    CHECK_FALSE(kept(with_fields("", "GET / HTTP/1.0")));
    CHECK(kept(with_fields("Connection: Keep-Alive\r\n", "GET / HTTP/1.0")));
    CHECK_FALSE(kept(with_fields("Connection: keep-alive, close\r\n", "GET / HTTP/1.0")));
}

TEST_CASE("http_parser: forms of the target") {
    auto const first = [](std::string_view request_line) {
        return run(http_parser(), with_fields("", request_line))[0];
    };
    CHECK(first("GET http://b:81/p?q HTTP/1.1") == "GET | http://b:81/p?q | /p | q | host b:81 | 1.1 keep | body 0");
    CHECK(first("GET HTTPS://b HTTP/1.1") == "GET | HTTPS://b | / |  | host b | 1.1 keep | body 0");
    CHECK(first("GET http://b?q HTTP/1.1") == "GET | http://b?q | / | q | host b | 1.1 keep | body 0");
    CHECK(first("GET /?? HTTP/1.1") == "GET | /?? | / | ? | host a | 1.1 keep | body 0");
    CHECK(first("GET //x HTTP/1.1") == "GET | //x | //x |  | host a | 1.1 keep | body 0");
    CHECK(first("OPTIONS * HTTP/1.1") == "OPTIONS | * | * |  | host a | 1.1 keep | body 0");
    CHECK(first("CONNECT b:443 HTTP/1.1") == "CONNECT | b:443 | b:443 |  | host a | 1.1 keep | body 0");
    for (std::string_view const bad :
         {"GET * HTTP/1.1", "GET x HTTP/1.1", "GET /a#b HTTP/1.1", "GET http:// HTTP/1.1", "GET http:///p HTTP/1.1",
          "GET http://u@h/ HTTP/1.1", "GET /\xc3\xa4 HTTP/1.1"}) {
        CAPTURE(bad);
        CHECK(refusal(with_fields("", bad)) == 400);
    }
}

TEST_CASE("http_parser: versions") {
    CHECK(refusal(with_fields("", "GET / HTTP/1.7")) == 0);
    CHECK(run(http_parser(), with_fields("", "GET / HTTP/1.7"))[0].find("1.1 keep") != std::string::npos);
    CHECK(refusal("GET / HTTP/2.0\r\n") == 505);
    CHECK(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 400);  // `*` is for OPTIONS
    CHECK(refusal("GET / HTTP/0.9\r\n") == 505);
    for (std::string_view const bad : {"GET /\r\n", "GET / http/1.1\r\n", "GET / HTTP/1.10\r\n", "GET / HTTP/1.\r\n",
                                       "GET / HTTP/1.1 \r\n", "GET / HTTPS/1.1\r\n", "GET / HTTP/a.1\r\n"}) {
        CAPTURE(bad);
        CHECK(refusal(bad) == 400);
    }
}

TEST_CASE("http_parser: malformed request lines") {
    for (std::string_view const bad :
         {" GET / HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "GET /  HTTP/1.1\r\n", "GET\t/\tHTTP/1.1\r\n",
          "G(T / HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n", "GET / HTTP/1.1\n", "garbage\r\n", "GET  HTTP/1.1\r\n",
          "\r\n\r\n\r\n\r\n\r\n"}) {
        CAPTURE(bad);
        CHECK(refusal(bad) == 400);
    }
}

TEST_CASE("http_parser: bytes that no text protocol sends are refused before the line ends") {
    CHECK(refusal("\x16\x03\x01\x02") == 400);  // the beginning of TLS
    CHECK(refusal(std::string_view("GET /\0", 6)) == 400);
    CHECK(refusal("GET /\rx") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \x01") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: 1\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n") == 400);
    CHECK(refusal(with_fields("X: tab\there \xc3\xa4\r\n")) == 0);
}

TEST_CASE("http_parser: a few empty lines before a request are forgiven") {
    std::string const request = with_fields("");
    CHECK(run(http_parser(), "\r\n\r\n" + request + "\r\n" + request).size() == 2);
    CHECK(run(http_parser(), request + "\r\n").size() == 1);  // and do not count as half a request
}

TEST_CASE("http_parser: malformed fields") {
    for (std::string_view const bad : {"no colon\r\n", ": no name\r\n", "Na me: x\r\n", "Name : x\r\n", "Näme: x\r\n",
                                       " folded: x\r\n", "X: 1\r\n folded\r\n", "X: 1\r\n\tfolded\r\n", "(x): 1\r\n"}) {
        CAPTURE(bad);
        CHECK(refusal(with_fields(bad)) == 400);
    }
}

TEST_CASE("http_parser: the Host field") {
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal("GET http://a/ HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.0\r\n\r\n") == 0);
    CHECK(refusal("GET / HTTP/1.1\r\nHost:\r\n\r\n") == 0);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") == 0);
    CHECK(refusal(with_fields("Host: a\r\n")) == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n") == 400);
}

TEST_CASE("http_parser: Content-Length") {
    CHECK(refusal(with_fields("Content-Length: 0\r\n")) == 0);
    CHECK(run(http_parser(), with_fields("content-length:  003 \r\n") + "abc").at(0).find("body 3") !=
          std::string::npos);
    for (std::string_view const bad :
         {"Content-Length: -1\r\n", "Content-Length: +1\r\n", "Content-Length: 1, 1\r\n", "Content-Length: 0x1\r\n",
          "Content-Length:\r\n", "Content-Length: 1 1\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n",
          "Content-Length: 1\r\nContent-Length: 2\r\n"}) {
        CAPTURE(bad);
        CHECK(refusal(with_fields(bad)) == 400);
    }
    http_limits limits;
    limits.body = 10;
    CHECK(refusal(with_fields("Content-Length: 10\r\n"), limits) == 0);
    CHECK(refusal(with_fields("Content-Length: 11\r\n"), limits) == 413);
    CHECK(refusal(with_fields("Content-Length: 99999999999999999999999999\r\n"), limits) == 413);
}

TEST_CASE("http_parser: a body may look like a request and is still a body") {
    std::string const inner = "GET /inner HTTP/1.1\r\n\r\n";
    auto const length = "Content-Length: " + std::to_string(inner.size()) + "\r\n";
    CHECK(run(http_parser(), with_fields(length) + inner + with_fields("", "GET /b HTTP/1.1")) ==
          transcript{"GET | / | / |  | host a | 1.1 keep | body 23", "GET | /b | /b |  | host a | 1.1 keep | body 0"});
}

TEST_CASE("http_parser: a request is reported when its body is there") {
    http_parser parser;
    transcript taken;
    CHECK(http_harness::take(parser, with_fields("Content-Length: 4\r\n", "PUT /kept HTTP/1.1") + "ab", taken));
    CHECK(taken.empty());
    CHECK_FALSE(parser.idle());
    CHECK(http_harness::take(parser, "c", taken));
    CHECK(taken.empty());
    CHECK(http_harness::take(parser, "d", taken));
    CHECK(taken == transcript{"PUT | /kept | /kept |  | host a | 1.1 keep | body 4"});
    CHECK(parser.idle());
}

TEST_CASE("http_parser: chunked bodies") {
    std::string const head = with_fields("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
    CHECK(run(http_parser(), head + "5\r\nhello\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n") ==
          transcript{"POST | / | / |  | host a | 1.1 keep | body 15"});
    CHECK(refusal(head + "xyz\r\n") == 400);
    CHECK(refusal(head + "5\r\nhelloworld\r\n") == 400);
    http_limits limits;
    limits.body = 9;
    limits.fields = 60;
    CHECK(refusal(head + "9\r\n012345678\r\n0\r\n\r\n", limits) == 0);
    CHECK(refusal(head + "A\r\n", limits) == 413);
    CHECK(refusal(head + "0\r\nT: " + std::string(60, 'x'), limits) == 431);
}

TEST_CASE("http_parser: transfer codings") {
    auto const coding = [](std::string_view value) {
        return refusal(with_fields("Transfer-Encoding: " + std::string(value) + "\r\n") + "0\r\n\r\n");
    };
    CHECK(coding("chunked") == 0);
    CHECK(coding("CHUNKED") == 0);
    CHECK(coding(", chunked ,") == 0);
    CHECK(coding("gzip") == 501);
    CHECK(coding("gzip, chunked") == 501);
    CHECK(coding("identity") == 501);
    CHECK(coding("xchunked") == 501);
    CHECK(coding("chunked, gzip") == 400);
    CHECK(coding("chunked, chunked") == 400);
    CHECK(coding("") == 400);
    CHECK(coding("chunked\r\nTransfer-Encoding: chunked") == 400);
    CHECK(coding("gzip\r\nTransfer-Encoding: chunked") == 501);
    CHECK(coding("chunked\r\nContent-Length: 5") == 400);
    CHECK(refusal(with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) == 400);
    CHECK(refusal("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
}

TEST_CASE("http_parser: a client that waits for 100 Continue is told apart") {
    std::string const head = with_fields("Content-Length: 2\r\nExpect: 100-Continue\r\n", "PUT / HTTP/1.1");
    http_parser parser;
    parser.feed(head);
    CHECK(parser.next() == http_event::expect_continue);
    CHECK(parser.next() == http_event::more);
    parser.feed("ab");
    CHECK(parser.next() == http_event::request);
    CHECK(parser.request().method == "PUT");

    std::string const with_body = head + "ab";
    http_parser eager;
    eager.feed(with_body);
    CHECK(eager.next() == http_event::request);

    std::string const old = with_fields("Content-Length: 2\r\nExpect: 100-continue\r\n", "PUT / HTTP/1.0");
    http_parser old_client;
    old_client.feed(old);
    CHECK(old_client.next() == http_event::more);

    std::string const other = with_fields("Content-Length: 2\r\nExpect: more\r\nNoting: 100-continue\r\n");
    http_parser unmoved;
    unmoved.feed(other);
    CHECK(unmoved.next() == http_event::more);

    http_limits limits;
    limits.body = 1;
    CHECK(refusal(head, limits) == 413);
}

TEST_CASE("http_parser: limits hold to the byte") {
    std::string const line = "GET /" + std::string(20, 'x') + " HTTP/1.1\r\n";
    std::string const fields = "Host: a\r\nX: y\r\n\r\n";
    http_limits limits;
    limits.request_line = line.size();
    limits.fields = fields.size();
    limits.field_count = 2;
    CHECK(refusal(line + fields, limits) == 0);
    http_limits less = limits;
    --less.request_line;
    CHECK(refusal(line + fields, less) == 414);
    less = limits;
    --less.fields;
    CHECK(refusal(line + fields, less) == 431);
    less = limits;
    --less.field_count;
    CHECK(refusal(line + fields, less) == 431);
}

TEST_CASE("http_parser: an endless line ends at the limit and keeps no more than that") {
    http_parser parser;
    transcript taken;
    std::string const piece(1000, 'a');
    std::size_t fed = 0;
    while (http_harness::take(parser, piece, taken)) {
        fed += piece.size();
        REQUIRE(fed <= http_limits{}.request_line);
    }
    CHECK(parser.error_status() == 414);

    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1024 * 1024, 'x')) == 431);
}

TEST_CASE("http_parser: an error is final") {
    http_parser parser;
    parser.feed("garbage\r\n");
    CHECK(parser.next() == http_event::error);
    parser.feed("GET / HTTP/1.0\r\n\r\n");
    CHECK(parser.next() == http_event::error);
    CHECK(parser.error_status() == 400);
    CHECK_FALSE(parser.error_text().empty());
    CHECK_FALSE(parser.idle());
}

TEST_CASE("http_parser: idle tells a clean end from a cut") {
    CHECK(run(http_parser(), "") == transcript{});
    CHECK(run(http_parser(), "G") == transcript{"cut"});
    CHECK(run(http_parser(), "GET / HTTP/1.1\r\n") == transcript{"cut"});
    CHECK(run(http_parser(), with_fields("Content-Length: 1\r\n")) == transcript{"cut"});
}
