#pragma once

// Addresses as they are given on the command line.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace magpie::tools {

struct url {
    std::string host;  // a name or an address, without brackets
    std::uint16_t port = 80;
    std::string path = "/";  // not decoded
    std::string query;       // without the '?', not decoded
    bool ipv6 = false;       // the host stood in brackets

    // What goes into the request line: "/path?query".
    std::string target() const;
    // What goes into the Host field: "host", "host:8080", "[::1]:8080".
    std::string host_field() const;
};

// http://host[:port][/path][?query]; a fragment is dropped. The error is one sentence.
std::expected<url, std::string> parse_url(std::string_view text);

struct listen_address {
    std::string host;        // a name or an address, without brackets; empty: every address of this machine
    std::uint16_t port = 0;  // 0: any free port
    bool ipv6 = false;       // the host stood in brackets

    // "127.0.0.1:8080", "[::1]:8080", ":8080".
    std::string text() const;
};

// ADDR:PORT, NAME:PORT, [ADDR]:PORT, :PORT. The error is one sentence.
std::expected<listen_address, std::string> parse_listen_address(std::string_view text);

}  // namespace magpie::tools
