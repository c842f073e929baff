#include "echo_bench.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/to_thread.hpp>
#include <magpie/io/buffer.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/spawn.hpp>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace magpie::tools {

namespace {

using std::chrono::nanoseconds;
using message = std::array<std::byte, 64>;

// A connection of two ends within this process.
class pair {
public:
    pair(io::tcp_stream first, io::tcp_stream second) : client(std::move(first)), server(std::move(second)) {}

    io::tcp_stream client;
    io::tcp_stream server;
};

task<pair> connect_pair(io::tcp_listener& listener) {
    io::tcp_stream client = (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
    io::tcp_stream server = (co_await listener.accept()).value();
    co_return pair(std::move(client), std::move(server));
}

task<> echo_until_end(io::tcp_stream& stream) {
    message bytes;
    for (;;) {
        std::size_t const got = (co_await stream.read(std::span(bytes))).value();
        if (got == 0) {
            co_return;
        }
        (co_await io::write_all(stream, std::span(bytes).first(got))).value();
    }
}

task<> call(io::tcp_stream& stream, std::size_t round_trips) {
    message bytes{};
    for (std::size_t i = 0; i < round_trips; ++i) {
        (co_await io::write_all(stream, bytes)).value();
        (co_await io::read_exactly(stream, bytes)).value();
    }
    stream.shutdown(io::shutdown_side::send).value();
}

task<nanoseconds> echo(std::size_t connections, std::size_t round_trips) {
    io::tcp_listener listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    std::vector<pair> pairs;
    for (std::size_t i = 0; i < connections; ++i) {
        pair ends = co_await connect_pair(listener);
        pairs.push_back(std::move(ends));
    }
    std::vector<task<>> all;
    for (pair& each : pairs) {
        all.push_back(echo_until_end(each.server));
        all.push_back(call(each.client, round_trips / connections));
    }
    time_point const begun = now();
    co_await gather(std::move(all));
    co_return now() - begun;
}

// --- without an event loop

bool read_message(int socket, message& bytes) {
    return ::recv(socket, bytes.data(), bytes.size(), MSG_WAITALL) == static_cast<ssize_t>(bytes.size());
}

bool write_message(int socket, message const& bytes) {
    return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

nanoseconds call_blocking(int client, int server, std::size_t round_trips) {
    std::jthread const echoes([server] {
        message bytes;
        while (read_message(server, bytes) && write_message(server, bytes)) {}
    });
    message bytes{};
    bool sound = true;
    auto const begun = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < round_trips && sound; ++i) {
        sound = write_message(client, bytes) && read_message(client, bytes);
    }
    auto const took = std::chrono::steady_clock::now() - begun;
    int const error = errno;
    ::shutdown(client, SHUT_RDWR);  // ends the other thread
    if (!sound) {
        throw std::system_error(error, std::system_category(), "echo with blocking sockets");
    }
    return took;
}

}  // namespace

task<nanoseconds> echo_one(std::size_t round_trips) {
    return echo(1, round_trips);
}

task<nanoseconds> echo_many(std::size_t round_trips) {
    constexpr std::size_t connections = 64;
    return echo(connections, round_trips);
}

task<nanoseconds> echo_blocking(std::size_t round_trips) {
    io::tcp_listener listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    pair const ends = co_await connect_pair(listener);
    co_return co_await to_thread(&call_blocking, ends.client.descriptor(), ends.server.descriptor(), round_trips);
}

}  // namespace magpie::tools
