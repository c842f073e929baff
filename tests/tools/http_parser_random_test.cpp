// Both parsers over streams cut at random and changed at random. What a stream gives must never depend on where it was
// cut, wrong streams included; and nothing may make a parser look beyond its bytes (seen under ASan).

#include "http_harness.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

using http_harness::run;
using magpie::tools::http_limits;
using magpie::tools::http_parser;
using magpie::tools::http_response_limits;
using magpie::tools::http_response_parser;

namespace {

constexpr std::array<std::string_view, 7> requests = {
    "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n",
    "GET /sleep?ms=10 HTTP/1.0\r\nUser-Agent: ApacheBench/2.3\r\nConnection: Keep-Alive\r\nAccept: */*\r\n\r\n",
    "\r\nHEAD http://h:1/metrics HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nbody\r\n\r\nbody",
    "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    "4\r\nWiki\r\n6;a=\"b\"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nA: b\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHOST:\r\nX:\t1 \t\r\n\r\n",
    "PUT /c HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
};

constexpr std::array<std::string_view, 6> responses = {
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nhello from magpie\n",
    "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a;x\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
    "HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 500\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad",
};

// Printed with a failure; set to repeat or to widen a run.
unsigned number_from(char const* variable, unsigned otherwise) {
    char const* const text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nothing here changes it
    return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

unsigned const seed = number_from("MAGPIE_SEED", 20240229);
unsigned const rounds = number_from("MAGPIE_ROUNDS", 20000);

// Small enough that changed streams reach them.
http_parser make_strict_request_parser() {
    http_limits limits;
    limits.request_line = 120;
    limits.fields = 120;
    limits.field_count = 5;
    limits.body = 40;
    return http_parser(limits);
}

http_response_parser make_strict_response_parser() {
    http_response_limits limits;
    limits.status_line = 60;
    limits.fields = 120;
    limits.body = 40;
    return http_response_parser(limits);
}

template <std::size_t Count>
std::string random_stream(std::array<std::string_view, Count> const& messages, std::mt19937& random) {
    std::string stream;
    for (unsigned count = 1 + random() % 4; count > 0; --count) {
        stream += messages[random() % Count];
    }
    return stream;
}

template <class Parser, std::size_t Count>
void check_all_cuts(Parser const& parser, std::array<std::string_view, Count> const& messages) {
    std::string stream;
    for (std::string_view const message : messages) {
        stream += message;
    }
    auto const whole = run(parser, stream);
    CHECK(whole.size() == Count);
    for (std::size_t first = 0; first <= stream.size(); ++first) {
        CAPTURE(first);
        REQUIRE(run(parser, stream, {first}) == whole);
        REQUIRE(run(parser, stream, {first, std::min(first + 7, stream.size())}) == whole);
    }
    CHECK(run(parser, stream, http_harness::every_byte(stream)) == whole);
}

template <class Parser, std::size_t Count>
void check_changed_streams(Parser const& parser, std::array<std::string_view, Count> const& messages) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    unsigned refused = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        CAPTURE(round);
        std::string const stream = http_harness::mutate(random_stream(messages, random), random);
        auto const whole = run(parser, stream);
        auto const cuts = http_harness::random_cuts(stream, random);
        REQUIRE(run(parser, stream, cuts) == whole);
        if (round % 16 == 0) REQUIRE(run(parser, stream, http_harness::every_byte(stream)) == whole);
        refused += !whole.empty() && whole.back().starts_with("error") ? 1 : 0;
    }
    // Both outcomes must have been met, else the changes are too mild or too wild to tell anything.
    CHECK(refused > rounds / 10);
    CHECK(refused < rounds - rounds / 10);
}

}  // namespace

TEST_CASE("http_parser: a sound stream may be cut anywhere") {
    check_all_cuts(http_parser(), requests);
}

TEST_CASE("http_response_parser: a sound stream may be cut anywhere") {
    check_all_cuts(http_response_parser(), responses);
}

TEST_CASE("http_parser: a changed stream gives the same wherever it is cut") {
    check_changed_streams(http_parser(), requests);
    check_changed_streams(make_strict_request_parser(), requests);
}

TEST_CASE("http_response_parser: a changed stream gives the same wherever it is cut") {
    check_changed_streams(http_response_parser(), responses);
    check_changed_streams(make_strict_response_parser(), responses);
}

TEST_CASE("http_parser: noise is refused or waits for more, and never reported as a request") {
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (unsigned round = 0; round < rounds; ++round) {
        CAPTURE(round);
        std::string noise(random() % 200, '\0');
        std::generate(noise.begin(), noise.end(), [&] { return static_cast<char>(random()); });
        auto const whole = run(http_parser(), noise);
        REQUIRE(whole.size() <= 1);
        REQUIRE((whole.empty() || whole[0] == "cut" || whole[0].starts_with("error 400")));
        REQUIRE(run(http_parser(), noise, http_harness::random_cuts(noise, random)) == whole);
    }
}
