#include "magpie/url.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using magpie::tools::parse_listen_address;
using magpie::tools::parse_url;
using namespace std::string_view_literals;

TEST_CASE("url: the parts of a URL") {
    auto const full = parse_url("http://example.org:8080/a/b?c=d&e#frag");
    REQUIRE(full.has_value());
    CHECK(full->host == "example.org");
    CHECK(full->port == 8080);
    CHECK(full->path == "/a/b");
    CHECK(full->query == "c=d&e");
    CHECK(full->target() == "/a/b?c=d&e");
    CHECK(full->host_field() == "example.org:8080");
    CHECK_FALSE(full->ipv6);
}

TEST_CASE("url: what is left out has its default") {
    auto const bare = parse_url("HTTP://localhost");
    REQUIRE(bare.has_value());
    CHECK(bare->port == 80);
    CHECK(bare->target() == "/");
    CHECK(bare->host_field() == "localhost");
    CHECK(parse_url("http://h:/x")->port == 80);
    CHECK(parse_url("http://h?q")->target() == "/?q");
    CHECK(parse_url("http://h#f")->target() == "/");
    CHECK(parse_url("http://h:1?q")->port == 1);
}

TEST_CASE("url: an IPv6 address stands in brackets") {
    auto const local = parse_url("http://[::1]:8080/");
    REQUIRE(local.has_value());
    CHECK(local->host == "::1");
    CHECK(local->ipv6);
    CHECK(local->port == 8080);
    CHECK(local->host_field() == "[::1]:8080");
    CHECK(parse_url("http://[2001:db8::1]")->host_field() == "[2001:db8::1]");
}

TEST_CASE("url: what cannot be loaded is refused in one sentence that names it") {
    for (std::string_view const bad : {"",
                                       "localhost:8080",
                                       "https://h/",
                                       "ftp://h/",
                                       "http:/h",
                                       "http://",
                                       "http:///p",
                                       "http://:80/",
                                       "http://h:0/",
                                       "http://h:65536/",
                                       "http://h:x/",
                                       "http://h:-1/",
                                       "http://h:1:2/",
                                       "http://::1/",
                                       "http://[::1/",
                                       "http://[]/",
                                       "http://[::1]x/",
                                       "http://[1.2.3.4]/",
                                       "http://[fe80::1%25eth0]/",
                                       "http://u:p@h/",
                                       "http://h h/",
                                       "http://h/a b",
                                       "http://h/a\r\nX: y",
                                       "http://h/\xc3\xa4",
                                       "http://h/a?b c",
                                       "http://h,x/",
                                       "http://h%20/",
                                       "http://h:80 /"}) {
        CAPTURE(bad);
        auto const parsed = parse_url(bad);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().starts_with("'" + std::string(bad) + "' is no URL"));
    }
    CHECK_FALSE(parse_url("http://[::1\0]/"sv).has_value());
    CHECK_FALSE(parse_url("http://h\0/"sv).has_value());
    CHECK(parse_url("https://h/").error().find("TLS") != std::string::npos);
}

TEST_CASE("url: addresses to listen on") {
    auto const parts = [](std::string_view text) {
        auto const address = parse_listen_address(text);
        REQUIRE(address.has_value());
        return address->host + " " + std::to_string(address->port) + (address->ipv6 ? " v6" : "");
    };
    CHECK(parts("127.0.0.1:8080") == "127.0.0.1 8080");
    CHECK(parts(":8080") == " 8080");
    CHECK(parts("localhost:0") == "localhost 0");
    CHECK(parts("[::]:8080") == ":: 8080 v6");
    CHECK(parts("[::1]:65535") == "::1 65535 v6");
    for (std::string_view const text : {"127.0.0.1:8080", ":8080", "[::1]:80"}) {
        CHECK(parse_listen_address(text)->text() == text);
    }
}

TEST_CASE("url: what cannot be listened on is refused in one sentence that names it") {
    for (std::string_view const bad :
         {"", "8080", "localhost", "h:", ":", ":65536", ":x", ":-1", ": 1", "::1:80", "[::1]", "[::1]80", "[::1",
          "[x]:1", "a b:1", "h:1:2", "http://h:1", "[]:1", "h:+1"}) {
        CAPTURE(bad);
        auto const parsed = parse_listen_address(bad);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().starts_with("'" + std::string(bad) + "' is no address"));
    }
    CHECK(parse_listen_address("::1:80").error().find("brackets") != std::string::npos);
}
