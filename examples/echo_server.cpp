// A TCP echo server and its clients in one program, over io_uring or, where that is refused, epoll.

#include <magpie/magpie.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace magpie;
using namespace std::chrono_literals;

constexpr int clients = 50;
constexpr int messages = 20;

// Between two messages a connection holds no buffer: read() borrows one when there is something to receive.
task<> echo(io::tcp_stream stream) {
    for (;;) {
        auto const received = co_await stream.read();
        if (!received || received->empty()) {
            co_return;  // an error, or the client's end
        }
        if (!co_await io::write_all(stream, *received)) {
            co_return;
        }
    }
}

task<int> talk(io::endpoint server) {
    auto stream = (co_await io::tcp_stream::connect(server)).value();
    int echoed = 0;
    for (int i = 0; i < messages; ++i) {
        std::string const sent = "message " + std::to_string(i);
        std::array<char, 64> buffer{};
        auto const answer = std::span(buffer).first(sent.size());
        (co_await io::write_all(stream, sent)).value();
        (co_await io::read_exactly(stream, std::as_writable_bytes(answer))).value();
        echoed += std::string_view(answer.data(), answer.size()) == sent ? 1 : 0;
    }
    co_return echoed;
}

task<int> amain() {
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    auto const address = listener.local_endpoint().value();
    // Up to 1000 connections at once; one that is silent for a minute is given up.
    auto server = spawn(io::serve(listener, echo, {.limit = 1000, .idle_timeout = 1min}), {.name = "server"});

    std::vector<task<int>> all;
    for (int i = 0; i < clients; ++i) {
        all.push_back(talk(address));
    }
    int echoed = 0;
    for (int each : co_await gather(std::move(all))) {
        echoed += each;
    }
    server.cancel();  // the graceful end: no new connections, and time for those that are left
    std::array const ending{server.ref()};
    co_await wait(ending);
    std::printf("%d clients on %s, %d messages echoed\n", clients, address.to_string().c_str(), echoed);
    co_return echoed == clients * messages ? 0 : 1;
}

int main() {
    return run(amain());
}
