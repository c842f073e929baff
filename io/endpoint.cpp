#include <magpie/io/endpoint.hpp>

#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

namespace magpie::io {

namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return port;
}

// inet_pton() wants a terminated string, and an address is never long.
template <class Raw>
bool parse_raw(int family, std::string_view text, Raw& raw) noexcept {
    char terminated[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof terminated || text.find('\0') != text.npos) {
        return false;
    }
    *std::copy(text.begin(), text.end(), terminated) = '\0';
    return ::inet_pton(family, terminated, &raw) == 1;
}

// The part behind '%': an interface's name or number.
std::optional<std::uint32_t> parse_scope(std::string_view text) noexcept {
    std::uint32_t index = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error == std::errc{} && end == text.data() + text.size()) {
        return index;
    }
    char name[IF_NAMESIZE];
    if (text.empty() || text.size() >= sizeof name) {
        return std::nullopt;
    }
    *std::copy(text.begin(), text.end(), name) = '\0';
    index = ::if_nametoindex(name);
    return index == 0 ? std::nullopt : std::optional(index);
}

sockaddr_in make_v4(in_addr address, std::uint16_t port) noexcept {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr = address;
    return v4;
}

sockaddr_in6 make_v6(in6_addr const& address, std::uint16_t port, std::uint32_t scope = 0) noexcept {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = address;
    v6.sin6_scope_id = scope;
    return v6;
}

}  // namespace

template <class Address>
Address endpoint::as() const noexcept {
    static_assert(sizeof(Address) <= sizeof storage_);
    Address address;
    std::memcpy(&address, storage_.data, sizeof address);
    return address;
}

template <class Address>
endpoint endpoint::of(Address const& address) noexcept {
    endpoint made{empty()};
    static_assert(sizeof address <= sizeof made.storage_);
    std::memcpy(made.storage_.data, &address, sizeof address);
    return made;
}

endpoint::endpoint() noexcept : endpoint(any_v4(0)) {}

endpoint::endpoint(std::string_view text) {
    auto const parsed = parse(text);
    if (!parsed) {
        throw std::invalid_argument("'" + std::string(text) +
                                    "' is no address with a port: write 127.0.0.1:80, [::1]:80 or :80");
    }
    *this = *parsed;
}

result<endpoint> endpoint::parse(std::string_view text) {
    auto const colon = text.rfind(':');
    if (colon == text.npos) {
        return failure(std::errc::invalid_argument);
    }
    auto const port = parse_port(text.substr(colon + 1));
    if (!port) {
        return failure(std::errc::invalid_argument);
    }
    std::string_view address = text.substr(0, colon);
    if (address.empty()) {
        return any_v6(*port);
    }
    bool const brackets = address.front() == '[';
    if (brackets) {
        if (address.size() < 2 || address.back() != ']') {
            return failure(std::errc::invalid_argument);
        }
        address = address.substr(1, address.size() - 2);
    }
    auto parsed = from_address(address, *port);
    if (parsed && parsed->is_v6() != brackets) {
        return failure(std::errc::invalid_argument);  // "::1:80" could mean two things
    }
    return parsed;
}

result<endpoint> endpoint::from_address(std::string_view address, std::uint16_t port) {
    in_addr v4{};
    if (parse_raw(AF_INET, address, v4)) {
        return of(make_v4(v4, port));
    }
    std::uint32_t scope = 0;
    if (auto const percent = address.find('%'); percent != address.npos) {
        auto const parsed = parse_scope(address.substr(percent + 1));
        if (!parsed) {
            return failure(std::errc::invalid_argument);
        }
        scope = *parsed;
        address = address.substr(0, percent);
    }
    in6_addr v6{};
    if (parse_raw(AF_INET6, address, v6)) {
        return of(make_v6(v6, port, scope));
    }
    return failure(std::errc::invalid_argument);
}

endpoint endpoint::any_v4(std::uint16_t port) noexcept {
    return of(make_v4({.s_addr = htonl(INADDR_ANY)}, port));
}

endpoint endpoint::any_v6(std::uint16_t port) noexcept {
    return of(make_v6(in6addr_any, port));
}

endpoint endpoint::loopback_v4(std::uint16_t port) noexcept {
    return of(make_v4({.s_addr = htonl(INADDR_LOOPBACK)}, port));
}

endpoint endpoint::loopback_v6(std::uint16_t port) noexcept {
    return of(make_v6(in6addr_loopback, port));
}

result<endpoint> endpoint::from_socket_address(sockaddr const* address, socklen_t size) {
    if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
        sockaddr_in v4;
        std::memcpy(&v4, address, sizeof v4);
        return of(make_v4(v4.sin_addr, ntohs(v4.sin_port)));  // without what the padding holds
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        sockaddr_in6 v6;
        std::memcpy(&v6, address, sizeof v6);
        return of(make_v6(v6.sin6_addr, ntohs(v6.sin6_port), v6.sin6_scope_id));
    }
    return failure(std::errc::invalid_argument);
}

bool endpoint::is_v4() const noexcept {
    return data()->sa_family == AF_INET;
}

bool endpoint::is_v6() const noexcept {
    return data()->sa_family == AF_INET6;
}

socklen_t endpoint::size() const noexcept {
    return is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

// The port is in the same place in both families.
std::uint16_t endpoint::port() const noexcept {
    return ntohs(as<sockaddr_in>().sin_port);
}

void endpoint::set_port(std::uint16_t port) noexcept {
    auto v4 = as<sockaddr_in>();
    v4.sin_port = htons(port);
    std::memcpy(storage_.data, &v4, offsetof(sockaddr_in, sin_addr));
}

std::string endpoint::address_text() const {
    char text[INET6_ADDRSTRLEN];
    if (is_v4()) {
        auto const v4 = as<sockaddr_in>();
        return ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    }
    auto const v6 = as<sockaddr_in6>();
    std::string address = ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    if (v6.sin6_scope_id != 0) {
        address += '%' + std::to_string(v6.sin6_scope_id);
    }
    return address;
}

std::string endpoint::to_string() const {
    return (is_v4() ? address_text() : '[' + address_text() + ']') + ':' + std::to_string(port());
}

bool endpoint::operator==(endpoint const& other) const noexcept {
    return std::memcmp(storage_.data, other.storage_.data, sizeof storage_.data) == 0;
}

}  // namespace magpie::io
