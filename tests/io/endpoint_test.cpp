#include <magpie/io/endpoint.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <ostream>
#include <stdexcept>
#include <string>

#include <netinet/in.h>

namespace {

using magpie::io::endpoint;

TEST_CASE("an endpoint is read from text and written as the same text") {
    for (char const* const text : {"127.0.0.1:80", "0.0.0.0:0", "255.1.2.3:65535", "[::1]:80", "[::]:8080",
                                   "[2001:db8::7]:1", "[fe80::1%7]:9"}) {
        CAPTURE(text);
        auto const parsed = endpoint::parse(text);
        REQUIRE(parsed);
        CHECK(parsed->to_string() == text);
        CHECK(endpoint(text) == *parsed);
    }
}

TEST_CASE("a port alone means every address of the machine") {
    endpoint const all(":8080");
    CHECK(all.is_v6());
    CHECK(all.port() == 8080);
    CHECK(all == endpoint::any_v6(8080));
    CHECK(all.address_text() == "::");
}

TEST_CASE("text that is no address with a port is refused") {
    for (char const* const text : {"",
                                   "80",
                                   "localhost",
                                   "localhost:80",
                                   "127.0.0.1",
                                   "127.0.0.1:",
                                   "127.0.0.1:65536",
                                   "127.0.0.1:-1",
                                   "127.0.0.1:80 ",
                                   " 127.0.0.1:80",
                                   "127.0.0.1:8x",
                                   "127.0.0.300:1",
                                   "1.2.3:4",
                                   "::1:80",
                                   "[::1]",
                                   "[::1]80",
                                   "[::1:80",
                                   "[127.0.0.1]:80",
                                   "[]:80",
                                   "[",
                                   "[:1",
                                   "::1]:80",
                                   "[fe80::1%]:80",
                                   "[fe80::1%no-such-interface]:80",
                                   "1111111111111111111111111111111111111111111111111111111:1"}) {
        CAPTURE(text);
        CHECK(endpoint::parse(text).error() == std::errc::invalid_argument);
        CHECK_THROWS_AS(endpoint{text}, std::invalid_argument);
    }
    CHECK(!endpoint::parse(std::string_view("127.0.0.1\0:80", 13)));
}

TEST_CASE("the exception says what was wrong and what is right") {
    try {
        endpoint const wrong("localhost:80");
        FAIL("no exception");
    } catch (std::invalid_argument const& error) {
        std::string const what = error.what();
        CHECK(what.find("localhost:80") != what.npos);
        CHECK(what.find("127.0.0.1:80") != what.npos);
    }
}

TEST_CASE("an interface may be named, and is kept as a number") {
    auto const scoped = endpoint::parse("[fe80::1%lo]:80");
    REQUIRE(scoped);
    CHECK(scoped->to_string() == "[fe80::1%1]:80");
}

TEST_CASE("made from an address and a port") {
    CHECK(endpoint::from_address("10.0.0.1", 9)->to_string() == "10.0.0.1:9");
    CHECK(endpoint::from_address("::2", 9)->to_string() == "[::2]:9");
    CHECK(!endpoint::from_address("ten", 9));
    CHECK(endpoint::loopback_v4(7).to_string() == "127.0.0.1:7");
    CHECK(endpoint::loopback_v6(7).to_string() == "[::1]:7");
    CHECK(endpoint::any_v4(7).to_string() == "0.0.0.0:7");
    CHECK(endpoint().to_string() == "0.0.0.0:0");
}

TEST_CASE("it is what the system's calls take and give") {
    for (char const* const text : {"10.1.2.3:4", "[2001:db8::1]:4"}) {
        endpoint const original(text);
        auto const copy = endpoint::from_socket_address(original.data(), original.size());
        REQUIRE(copy);
        CHECK(*copy == original);
        CHECK(!endpoint::from_socket_address(original.data(), 4));
    }
    sockaddr_in v4{};
    CHECK(endpoint(":1").size() == sizeof(sockaddr_in6));
    CHECK(endpoint("1.2.3.4:1").size() == sizeof v4);
    std::memcpy(&v4, endpoint("1.2.3.4:258").data(), sizeof v4);
    CHECK(v4.sin_family == AF_INET);
    CHECK(ntohs(v4.sin_port) == 258);
    CHECK(ntohl(v4.sin_addr.s_addr) == 0x01020304);
    sockaddr unknown{};
    unknown.sa_family = AF_UNIX;
    CHECK(!endpoint::from_socket_address(&unknown, sizeof unknown));
}

TEST_CASE("the port can be changed, and everything counts for equality") {
    endpoint a("[::1]:1");
    endpoint const b = a;
    CHECK(a == b);
    a.set_port(2);
    CHECK(a.port() == 2);
    CHECK(a.address_text() == "::1");
    CHECK(!(a == b));
    CHECK(!(endpoint("1.2.3.4:1") == endpoint("1.2.3.5:1")));
    CHECK(!(endpoint("[fe80::1%1]:1") == endpoint("[fe80::1%2]:1")));
}

}  // namespace
