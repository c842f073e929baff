#include "url.hpp"

#include "http_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>

#include <arpa/inet.h>

namespace magpie::tools {

namespace {

struct authority {
    std::string_view host;
    std::string_view port;  // empty when there is none
    bool has_port = false;
    bool ipv6 = false;
};

using why = std::string_view;  // the second half of a sentence

bool is_ipv6(std::string_view text) {
    in6_addr address{};
    // inet_pton would stop at a NUL and not see the rest.
    return text.find('\0') == std::string_view::npos && inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool is_host_name(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return c == '-' || c == '.' || c == '_' || http_syntax::alphanumeric.find(c) != std::string_view::npos;
    });
}

std::expected<authority, why> split_authority(std::string_view text) {
    authority parts;
    std::string_view behind;
    if (text.starts_with('[')) {
        std::size_t const bracket = text.find(']');
        if (bracket == std::string_view::npos) {
            return std::unexpected("the closing bracket is missing");
        }
        parts.host = text.substr(1, bracket - 1);
        parts.ipv6 = true;
        behind = text.substr(bracket + 1);
        if (!is_ipv6(parts.host)) {
            return std::unexpected("what stands in brackets is no IPv6 address");
        }
        if (!behind.empty() && behind.front() != ':') {
            return std::unexpected("only a colon and a port may follow the bracket");
        }
    } else {
        std::size_t const colon = std::min(text.find(':'), text.size());
        parts.host = text.substr(0, colon);
        behind = text.substr(colon);
        if (behind.find(':', 1) != std::string_view::npos) {
            return std::unexpected("an IPv6 address stands in brackets, as in [::1]:8080");
        }
        if (!is_host_name(parts.host)) {
            return std::unexpected("the host holds a character that no host name has");
        }
    }
    parts.has_port = !behind.empty();
    parts.port = parts.has_port ? behind.substr(1) : behind;
    return parts;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    auto const number = parse_digits(text);
    if (!number || *number > 65535) {
        return std::nullopt;
    }
    return static_cast<std::uint16_t>(*number);
}

std::unexpected<std::string> refuse_url(std::string_view text, why reason) {
    return std::unexpected(fmt::format("'{}' is no URL that can be loaded: {}", text, reason));
}

std::unexpected<std::string> refuse_address(std::string_view text, why reason) {
    return std::unexpected(fmt::format("'{}' is no address to listen on: {}", text, reason));
}

}  // namespace

std::string url::target() const {
    return query.empty() ? path : path + "?" + query;
}

std::string url::host_field() const {
    std::string const name = ipv6 ? "[" + host + "]" : host;
    return port == 80 ? name : fmt::format("{}:{}", name, port);
}

std::expected<url, std::string> parse_url(std::string_view text) {
    constexpr std::string_view scheme = "http://";
    if (equals_ignoring_case(text.substr(0, 8), "https://")) {
        return refuse_url(text, "only http:// is spoken, there is no TLS here");
    }
    if (!equals_ignoring_case(text.substr(0, scheme.size()), scheme)) {
        return refuse_url(text, "it does not begin with http://");
    }
    std::string_view const rest = text.substr(scheme.size());
    std::size_t const end = std::min(rest.find_first_of("/?#"), rest.size());
    std::string_view const host = rest.substr(0, end);
    if (host.find('@') != std::string_view::npos) {
        return refuse_url(text, "user names and passwords are not supported");
    }
    auto const parts = split_authority(host);
    if (!parts) {
        return refuse_url(text, parts.error());
    }
    if (parts->host.empty()) {
        return refuse_url(text, "the host is missing");
    }
    url result;
    result.host = parts->host;
    result.ipv6 = parts->ipv6;
    if (!parts->port.empty()) {
        auto const port = parse_port(parts->port);
        if (!port || *port == 0) {
            return refuse_url(text, "the port is not a number from 1 to 65535");
        }
        result.port = *port;
    }
    std::string_view target = rest.substr(end);
    target = target.substr(0, target.find('#'));
    // Nothing that could end the request line early gets through.
    if (!all_of_class(target, http_syntax::target_char)) {
        return refuse_url(text, "spaces, control characters and letters beyond ASCII must be written as %XX");
    }
    std::size_t const question = target.find('?');
    if (std::string_view const path = target.substr(0, question); !path.empty()) {
        result.path = path;
    }
    if (question != std::string_view::npos) {
        result.query = target.substr(question + 1);
    }
    return result;
}

std::string listen_address::text() const {
    return ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::expected<listen_address, std::string> parse_listen_address(std::string_view text) {
    auto const parts = split_authority(text);
    if (!parts) {
        return refuse_address(text, parts.error());
    }
    if (!parts->has_port) {
        return refuse_address(text, "write ADDR:PORT, :PORT or [ADDR]:PORT");
    }
    auto const port = parse_port(parts->port);
    if (!port) {
        return refuse_address(text, "the port is not a number from 0 to 65535");
    }
    return listen_address{std::string(parts->host), *port, parts->ipv6};
}

}  // namespace magpie::tools
