#pragma once

#include <magpie/io/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace magpie::io {

// An IPv4 or IPv6 address and a port: a value.
class endpoint {
public:
    // Any IPv4 address, port 0: to bind to, and let the kernel choose the port.
    endpoint() noexcept;

    // "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", ":8080" (every address of this machine, IPv6 and IPv4). Names
    // are not resolved: see io/resolve.hpp. The error is invalid_argument.
    static result<endpoint> parse(std::string_view text);
    // As parse(). Throws std::invalid_argument, with a sentence that says what is allowed.
    explicit endpoint(std::string_view text);

    // "127.0.0.1" or "::1" and a port.
    static result<endpoint> from_address(std::string_view address, std::uint16_t port);
    // All addresses of this machine, or the one that only this machine can reach.
    static endpoint any_v4(std::uint16_t port) noexcept;
    static endpoint any_v6(std::uint16_t port) noexcept;
    static endpoint loopback_v4(std::uint16_t port) noexcept;
    static endpoint loopback_v6(std::uint16_t port) noexcept;
    // Copies what the system gave; `size` is how much of it counts. Families other than these two give invalid_argument.
    static result<endpoint> from_socket_address(sockaddr const* address, socklen_t size);

    bool is_v4() const noexcept;
    bool is_v6() const noexcept;
    std::uint16_t port() const noexcept;
    void set_port(std::uint16_t port) noexcept;
    std::string address_text() const;  // without brackets and port
    std::string to_string() const;     // as parse() takes it

    sockaddr const* data() const noexcept { return reinterpret_cast<sockaddr const*>(&storage_); }
    socklen_t size() const noexcept;

    bool operator==(endpoint const& other) const noexcept;

private:
    // Large enough for both, a quarter of sockaddr_storage.
    struct alignas(8) bytes {
        unsigned char data[28];
    };
    struct empty {};
    explicit endpoint(empty) noexcept {}
    template <class Address>
    Address as() const noexcept;
    template <class Address>
    static endpoint of(Address const& address) noexcept;

    bytes storage_{};
};

}  // namespace magpie::io
