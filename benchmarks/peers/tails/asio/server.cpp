// Asio with C++20 coroutines: one io_context, run by all threads.
//
// server THREADS    prints `listening on 127.0.0.1:PORT`

#include "../protocol.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <asio.hpp>

namespace {

using asio::ip::tcp;

asio::awaitable<void> serve(tcp::socket socket) {
    std::array<char, peers::read_size> buffer;
    std::size_t filled = 0;
    try {
        socket.set_option(tcp::no_delay(true));
        for (;;) {
            filled += co_await socket.async_read_some(asio::buffer(buffer.data() + filled, buffer.size() - filled),
                                                      asio::use_awaitable);
            std::string_view rest(buffer.data(), filled);
            for (;;) {
                std::string_view const answer = peers::next_answer(rest);
                if (answer.empty()) {
                    break;
                }
                co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
            }
            std::ranges::copy(rest, buffer.begin());
            filled = rest.size();
        }
    } catch (std::system_error const&) {
        // The client has left.
    }
}

asio::awaitable<void> accept_all(tcp::acceptor& acceptor) {
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        asio::co_spawn(acceptor.get_executor(), serve(std::move(socket)), asio::detached);
    }
}

}  // namespace

int main(int argc, char** argv) {
    int const count = argc > 1 ? std::atoi(argv[1]) : 2;
    asio::io_context context(count);
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    asio::co_spawn(context, accept_all(acceptor), asio::detached);
    std::printf("listening on 127.0.0.1:%u\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&context] { context.run(); });
    }
}
