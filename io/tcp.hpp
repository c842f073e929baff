#pragma once

#include <magpie/io/buffer.hpp>
#include <magpie/io/chunk_stream.hpp>
#include <magpie/io/connection_stream.hpp>
#include <magpie/io/endpoint.hpp>
#include <magpie/io/fd.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/result.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/task.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

namespace magpie::io {

class tcp_stream;

// Parts of one write, in order.
using const_buffer = std::span<std::byte const>;

// The bytes of a text, to be written.
inline const_buffer as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span(text));
}

enum class shutdown_side : std::uint8_t {
    receive = SHUT_RD,
    send = SHUT_WR,  // the other side reads the end
    both = SHUT_RDWR,
};

// Holds a gathered write's parts while it is in the kernel: the first 16, which is what one operation takes.
class gathered_parts {
public:
    explicit gathered_parts(std::span<const_buffer const> parts) noexcept : parts_(parts) {}
    int prepare(request& r) noexcept;
    result<std::size_t> operator()(completed const& end) const { return as_count()(end); }

private:
    static constexpr std::size_t at_once = 16;

    std::span<const_buffer const> parts_;
    std::array<iovec, at_once> vectors_;
    msghdr message_;
};

// Makes a socket and holds it while it connects.
class connecting {
public:
    explicit connecting(endpoint const& to) noexcept : to_(to) {}
    int prepare(request& r) noexcept;
    result<tcp_stream> operator()(completed const& end);

private:
    endpoint to_;
    fd socket_;
};

struct as_stream {
    result<tcp_stream> operator()(completed const& end) const;
};

// A TCP connection. Owns its socket. One task may read while another writes; two reads at once, or two writes, share the
// bytes in an order that nobody knows. Every operation may be awaited on any worker, also when another one began on a
// different one. Writing to a connection that the other side has closed is an error (broken_pipe), not a signal.
//
// The buffers that are given must stay valid until co_await returns, also when the operation is cancelled; it returns
// only when the kernel has let go of them. Cancelling an operation leaves the connection usable: what a cancelled read
// has taken from the socket is delivered, nothing is lost.
class [[nodiscard]] tcp_stream {
public:
    tcp_stream() = default;
    // Takes over a connected socket, which should not be non-blocking (O_NONBLOCK).
    explicit tcp_stream(fd socket) noexcept : socket_(std::move(socket)) {}

    // Connects: connection_refused, timed_out, network_unreachable, ….
    static op<connecting> connect(endpoint const& to) {
        return op<connecting>({.code = opcode::connect}, connecting(to));
    }
    // Resolves the name (io/resolve.hpp) and tries its addresses in turn; the error is that of the last.
    static task<result<tcp_stream>> connect(std::string host, std::uint16_t port);

    // Waits until there is something to read, and reads up to buffer.size() bytes: how many. 0: the other side has sent
    // its end (or the buffer is empty).
    timed_op<> read(std::span<std::byte> buffer) const {
        return timed_op({.code = opcode::recv,
                         .fd = socket_.get(),
                         .address = address_of(buffer.data()),
                         .length = length_of(buffer)},
                        wait_limit_);
    }
    // The same into a buffer of the event loop's, borrowed once there is something to read. Empty: the end. While the
    // loop has none left, it waits for one.
    timed_op<as_buffer> read() const {
        return timed_op<as_buffer>({.code = opcode::recv, .entry_flags = entry_buffer_select, .fd = socket_.get()},
                                   wait_limit_);
    }
    // Everything that comes, piece by piece: `while (auto chunk = co_await chunks.next())`. See io/chunk_stream.hpp.
    chunk_stream chunks() const noexcept { return {socket_.get(), wait_limit_}; }

    // Writes as much as the socket takes, at least one byte: how many. See write_all() in io/transfer.hpp.
    timed_op<> write(const_buffer bytes) const {
        return timed_op({.code = opcode::send,
                         .fd = socket_.get(),
                         .address = address_of(bytes.data()),
                         .length = length_of(bytes),
                         .flags = MSG_NOSIGNAL},
                        wait_limit_);
    }
    timed_op<> write(std::string_view text) const { return write(as_bytes(text)); }
    // The same of several parts, in order. The list, too, must stay valid. At most 16 parts are looked at.
    timed_op<gathered_parts> write(std::span<const_buffer const> parts) const {
        return timed_op<gathered_parts>({.code = opcode::sendmsg, .fd = socket_.get(), .flags = MSG_NOSIGNAL},
                                        wait_limit_, gathered_parts(parts));
    }

    // Every later read or write that waits for longer than this gives timed_out. Zero (the default): no limit.
    void set_wait_limit(duration limit) noexcept { wait_limit_ = limit; }
    duration wait_limit() const noexcept { return wait_limit_; }

    // Ends one direction, or both. A read that waits here ends with 0. Does not suspend.
    result<> shutdown(shutdown_side side) noexcept;
    // Ends the connection; no operation may be in flight. The destructor does the same. Does not suspend.
    void close() noexcept { socket_.reset(); }
    // The next close() resets the connection: the other side gets connection_reset, what it has not read is lost.
    result<> reset_on_close() noexcept;

    // On (the default of connect() and accept()): small writes go out at once, and are not held back to be joined.
    result<> set_nodelay(bool on) noexcept;
    result<endpoint> local_endpoint() const;
    result<endpoint> remote_endpoint() const;

    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    int descriptor() const noexcept { return socket_.get(); }
    // Gives up the socket.
    fd release() noexcept { return std::move(socket_); }

private:
    template <class Byte>
    static std::uint64_t address_of(Byte* bytes) noexcept {
        return reinterpret_cast<std::uintptr_t>(bytes);
    }
    // One operation takes no more; a larger span is read or written in part.
    static std::uint32_t length_of(const_buffer bytes) noexcept {
        constexpr std::size_t most = std::size_t{1} << 30;
        return static_cast<std::uint32_t>(bytes.size() < most ? bytes.size() : most);
    }

    fd socket_;
    duration wait_limit_{};
};

struct listen_options {
    int backlog = 4096;       // connections that wait to be accepted; the sysctl net.core.somaxconn is a bound too
    bool reuse_port = false;  // several sockets may listen on the port, and share its connections
};

// A socket that takes connections. Any number of tasks, on any workers, may accept from it at once.
class [[nodiscard]] tcp_listener {
public:
    tcp_listener() = default;

    // Opens, binds and listens; does not suspend. Port 0: the kernel chooses one, see local_endpoint(). An endpoint for
    // all IPv6 addresses takes IPv4 connections, too. Any thread. Errors: address_in_use, permission_denied,
    // address_not_available, too_many_files_open; explain() makes a sentence of them.
    static result<tcp_listener> bind(endpoint const& where, listen_options options = {});
    // A sentence for people: what failed, why, and what can be done about it.
    static std::string explain(std::error_code error, endpoint const& where);

    // Waits for a connection. Errors that say nothing about the next one: connection_aborted and what else the network
    // reports of a connection that was gone before it was accepted. That pass: too_many_files_open,
    // too_many_files_open_in_system, no_buffer_space, not_enough_memory. After shutdown(): invalid_argument.
    op<as_stream> accept() const {
        return op<as_stream>({.code = opcode::accept, .fd = socket_.get(), .flags = SOCK_CLOEXEC});
    }
    // All connections, one after the other: `while (auto connection = co_await connections.next())`. See
    // io/connection_stream.hpp.
    connection_stream incoming() const noexcept { return connection_stream(socket_.get()); }

    // Takes no connection any more: every accept that waits ends with invalid_argument. Any thread; does not suspend.
    result<> shutdown() noexcept;
    // No accept may be in flight. The destructor does the same.
    void close() noexcept { socket_.reset(); }

    result<endpoint> local_endpoint() const;
    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    int descriptor() const noexcept { return socket_.get(); }

private:
    explicit tcp_listener(fd socket) noexcept : socket_(std::move(socket)) {}

    fd socket_;
};

inline result<tcp_stream> as_stream::operator()(completed const& end) const {
    if (end.result < 0) {
        return failure(-end.result);
    }
    return tcp_stream(fd(end.result));
}

inline std::optional<result<tcp_stream>> as_incoming::operator()(completed const& end) const {
    std::optional<result<tcp_stream>> connection(as_stream()(end));
    if (!*connection && connection->error() == std::errc::invalid_argument) {
        connection.reset();
    }
    return connection;
}

inline op<as_incoming> connection_stream::next() const {
    return op<as_incoming>({.code = opcode::accept, .fd = listener_, .flags = SOCK_CLOEXEC});
}

}  // namespace magpie::io
