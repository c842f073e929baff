#include <magpie/io/resolve.hpp>
#include <magpie/io/tcp.hpp>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace magpie::io {

namespace {

result<> set_option(int socket, int level, int name, int value) noexcept {
    if (::setsockopt(socket, level, name, &value, sizeof value) != 0) {
        return failure(errno);
    }
    return {};
}

using name_function = int (*)(int, sockaddr*, socklen_t*);

result<endpoint> name_of(int socket, name_function ask) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (ask(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return failure(errno);
    }
    return endpoint::from_socket_address(reinterpret_cast<sockaddr const*>(&address), size);
}

int open_socket(endpoint const& for_address) noexcept {
    return ::socket(for_address.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

}  // namespace

// ---------------------------------------------------------------------------------------------- operations

int gathered_parts::prepare(request& r) noexcept {
    std::size_t const count = std::min(parts_.size(), at_once);
    for (std::size_t i = 0; i < count; ++i) {
        vectors_[i] = {const_cast<std::byte*>(parts_[i].data()), parts_[i].size()};
    }
    message_ = {};
    message_.msg_iov = vectors_.data();
    message_.msg_iovlen = count;
    r.address = reinterpret_cast<std::uintptr_t>(&message_);
    r.length = 1;
    return 0;
}

int connecting::prepare(request& r) noexcept {
    socket_.reset(open_socket(to_));
    if (!socket_) {
        return errno;
    }
    (void)set_option(socket_.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // a matter of speed only
    r.fd = socket_.get();
    r.address = reinterpret_cast<std::uintptr_t>(to_.data());
    r.offset = to_.size();
    return 0;
}

result<tcp_stream> connecting::operator()(completed const& end) {
    if (end.result < 0) {
        return failure(-end.result);
    }
    return tcp_stream(std::move(socket_));
}

// ---------------------------------------------------------------------------------------------- tcp_stream

task<result<tcp_stream>> tcp_stream::connect(std::string host, std::uint16_t port) {
    auto addresses = co_await resolve(std::move(host), std::to_string(port));
    if (!addresses) {
        co_return failure(addresses.error());
    }
    std::error_code last = std::make_error_code(std::errc::address_not_available);
    for (endpoint const& each : *addresses) {
        auto stream = co_await connect(each);
        if (stream) {
            co_return stream;
        }
        last = stream.error();
    }
    co_return failure(last);
}

result<> tcp_stream::shutdown(shutdown_side side) noexcept {
    if (::shutdown(socket_.get(), static_cast<int>(side)) != 0) {
        return failure(errno);
    }
    return {};
}

result<> tcp_stream::reset_on_close() noexcept {
    linger const at_once{.l_onoff = 1, .l_linger = 0};
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) {
        return failure(errno);
    }
    return {};
}

result<> tcp_stream::set_nodelay(bool on) noexcept {
    return set_option(socket_.get(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

result<endpoint> tcp_stream::local_endpoint() const {
    return name_of(socket_.get(), &::getsockname);
}

result<endpoint> tcp_stream::remote_endpoint() const {
    return name_of(socket_.get(), &::getpeername);
}

// ---------------------------------------------------------------------------------------------- tcp_listener

result<tcp_listener> tcp_listener::bind(endpoint const& where, listen_options options) {
    fd socket(open_socket(where));
    if (!socket) {
        return failure(errno);
    }
    int const s = socket.get();
    auto ready = set_option(s, SOL_SOCKET, SO_REUSEADDR, 1);  // a port whose old connections still linger is free
    if (ready && options.reuse_port) {
        ready = set_option(s, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (ready && where.is_v6()) {
        ready = set_option(s, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (ready) {
        ready = set_option(s, IPPROTO_TCP, TCP_NODELAY, 1);  // the accepted sockets inherit it
    }
    if (!ready) {
        return failure(ready.error());
    }
    if (::bind(s, where.data(), where.size()) != 0 || ::listen(s, options.backlog) != 0) {
        return failure(errno);
    }
    return tcp_listener(std::move(socket));
}

std::string tcp_listener::explain(std::error_code error, endpoint const& where) {
    std::string const text = "cannot listen on " + where.to_string() + ": ";
    if (error == std::errc::address_in_use) {
        return text +
               "the port is in use by another program; choose another port, or find out who has it with `ss -ltnp`";
    }
    if (error == std::errc::permission_denied) {
        return text + "ports below 1024 need a privilege; choose a higher one, or grant CAP_NET_BIND_SERVICE";
    }
    if (error == std::errc::address_not_available) {
        return text + "this machine has no such address; see `ip address`";
    }
    if (error == std::errc::too_many_files_open) {
        return text + "the process has too many open files; raise the limit with `ulimit -n`";
    }
    if (error == std::errc::address_family_not_supported) {
        return text +
               (where.is_v6() ? "IPv6 is turned off on this machine; give an IPv4 address, such as 0.0.0.0:"
                              : "IPv4 is turned off on this machine; give an IPv6 address, such as [::]:") +
               std::to_string(where.port());
    }
    return text + error.message();
}

result<> tcp_listener::shutdown() noexcept {
    if (::shutdown(socket_.get(), SHUT_RDWR) != 0) {
        return failure(errno);
    }
    return {};
}

result<endpoint> tcp_listener::local_endpoint() const {
    return name_of(socket_.get(), &::getsockname);
}

}  // namespace magpie::io
