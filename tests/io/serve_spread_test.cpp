// How io::serve spreads connections over the workers, and what it does with more than one acceptor.

#include <magpie/io/serve.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Says a byte, and stays until the other side goes.
task<> greet(io::tcp_stream stream) {
    (void)co_await stream.write("x");
    std::byte byte{};
    (void)co_await stream.read(std::span(&byte, 1));
}

// A client without a runtime.
class plain_client {
public:
    explicit plain_client(io::tcp_listener const& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        auto const where = to.local_endpoint().value();
        REQUIRE(::connect(fd_.get(), where.data(), where.size()) == 0);
    }
    bool is_greeted() const {
        char byte = 0;
        return ::recv(fd_.get(), &byte, 1, 0) == 1;
    }

private:
    io::fd fd_;
};

void stop_serving(join_handle<void>& server) {
    server.cancel();
    server.blocking_wait();
    CHECK(server.cancelled());
}

std::vector<std::size_t> operations(runtime const& rt) {
    std::vector<std::size_t> counts;
    for (auto const& each : rt.snapshot().workers) {
        counts.push_back(each.operations);
    }
    return counts;
}

std::size_t sum(std::vector<std::size_t> const& counts) {
    std::size_t all = 0;
    for (std::size_t const each : counts) {
        all += each;
    }
    return all;
}

// How many operations wait on the worker with the least, and on that with the most, when 160 connections have come one
// after the other, and stay.
struct extremes {
    std::size_t least = 0;
    std::size_t most = 0;
};
constexpr std::size_t all_connections = 160;

extremes spread_with(config c, unsigned acceptors) {
    c.stall_threshold = 1h;  // a worker that the machine holds up is not stuck
    auto const listener = listen_on_loopback();
    runtime rt(c);
    auto server = rt.spawn(io::serve(listener, &greet, {.acceptors = acceptors}));
    until([&] { return sum(operations(rt)) == acceptors; });
    std::vector<plain_client> clients;
    while (clients.size() < all_connections) {
        clients.emplace_back(listener);
        CHECK(clients.back().is_greeted());
        until([&] { return sum(operations(rt)) == clients.size() + acceptors; });
    }
    auto const counts = operations(rt);
    auto const [least, most] = std::ranges::minmax(counts);
    clients.clear();
    stop_serving(server);
    return {least, most};
}

TEST_CASE("connections that stay are spread: no worker has many more than another") {
    for (unsigned const workers : {2U, 4U}) {
        for (unsigned const acceptors : {1U, 3U}) {
            CAPTURE(acceptors);
            on_each_backend(workers, [&](config c) {
                c.steal = false;  // what is moved by thieves is not what was decided
                auto const [least, most] = spread_with(c, acceptors);
                CAPTURE(least);
                CAPTURE(most);
                // Tolerated are 4 and a sixteenth more than the lightest has; the acceptors are counted, too.
                CHECK(most - least <= 6 + acceptors + all_connections / workers / 8);
            });
        }
    }
}

TEST_CASE("thieves, and a choice among a few of many workers, do not make it uneven") {
    for (unsigned const workers : {2U, 8U}) {
        for (unsigned const acceptors : {1U, 3U}) {
            CAPTURE(acceptors);
            on_each_backend(workers, [&](config const& c) {
                auto const [least, most] = spread_with(c, acceptors);
                CAPTURE(least);
                CHECK(most <= 3 * all_connections / workers / 2 + 10 + acceptors);
            });
        }
    }
}

TEST_CASE("without spread, and without rescue, a connection begins where it was accepted") {
    on_each_backend(2, [](config c) {
        c.steal = false;
        for (bool const rescue : {true, false}) {
            c.rescue = rescue;
            c.stall_threshold = 1h;  // on a slow machine a rescue would move the acceptor
            auto const listener = listen_on_loopback();
            runtime rt(c);
            auto server = rt.spawn(io::serve(listener, &greet, {.spread = !rescue}));
            std::vector<plain_client> clients;
            for (int i = 0; i < 50; ++i) {
                clients.emplace_back(listener);
                CHECK(clients.back().is_greeted());
            }
            // Not read twice: between the last one's write and its read there is one less for a moment. The test's time
            // limit ends a wait in vain: some began elsewhere.
            until([&] { return std::ranges::max(operations(rt)) == 51; });
            clients.clear();
            stop_serving(server);
        }
    });
}

TEST_CASE("while a worker is stuck the others serve every new connection") {
    for (unsigned const acceptors : {1U, 2U}) {
        on_each_backend(2, [&](config c) {
            c.hooks.on_stall = [](event_info const&) {};
            auto const listener = listen_on_loopback();
            runtime rt(c);
            auto server = rt.spawn(io::serve(listener, &greet, {.acceptors = acceptors}));
            for (int round = 0; round < 3; ++round) {
                std::atomic<bool> entered{false};
                std::atomic<bool> free{false};
                auto const blocks = [&]() -> task<> {
                    entered = true;
                    until([&] { return free.load(); });
                    co_return;
                };
                auto blocked = rt.spawn(blocks(), {.pinned = true});  // on one worker, then on the other
                until([&] { return entered.load(); });
                std::vector<plain_client> clients;
                for (int i = 0; i < 20; ++i) {
                    clients.emplace_back(listener);
                    CHECK(clients.back().is_greeted());
                }
                free = true;
                blocked.blocking_wait();
            }
            stop_serving(server);
        });
    }
}

TEST_CASE("the limit is exact with any number of acceptors") {
    for (unsigned const acceptors : {0U, 2U, 7U}) {
        on_each_backend(2, [&](config const& c) {
            auto const listener = listen_on_loopback();
            runtime rt(c);
            std::atomic<int> inside{0};
            std::atomic<int> most{0};
            auto const handler = [&](io::tcp_stream stream) -> task<> {
                int const now = inside.fetch_add(1) + 1;
                int seen = most.load();
                while (seen < now && !most.compare_exchange_weak(seen, now)) {}
                (void)co_await stream.write("x");
                std::byte byte{};
                (void)co_await stream.read(std::span(&byte, 1));
                inside.fetch_sub(1);
            };
            auto server = rt.spawn(io::serve(listener, handler, {.limit = 3, .acceptors = acceptors}));
            std::vector<plain_client> clients;
            for (int i = 0; i < 15; ++i) {
                clients.emplace_back(listener);
            }
            until([&] { return inside.load() == 3; });
            while (!clients.empty()) {
                CHECK(clients.front().is_greeted());
                clients.erase(clients.begin());
            }
            CHECK(most.load() == 3);
            stop_serving(server);
        });
    }
}

TEST_CASE("a cancelled server loses no connection: each was served, or waits at the listener") {
    for (unsigned const acceptors : {1U, 4U}) {
        on_each_backend(4, [&](config const& c) {
            runtime rt(c);
            for (unsigned r = 0; r < rounds(40); ++r) {
                auto const listener = listen_on_loopback();
                std::atomic<unsigned> begun{0};
                auto const handler = [&](io::tcp_stream stream) -> task<> {
                    begun.fetch_add(1);
                    (void)co_await stream.write("x");
                };
                auto server = rt.spawn(io::serve(listener, handler, {.drain = 1h, .acceptors = acceptors}));
                unsigned const n = 1 + r % 20;
                std::vector<plain_client> clients;
                for (unsigned i = 0; i < n; ++i) {
                    clients.emplace_back(listener);
                    if (i == n / 2) {
                        server.cancel();
                    }
                }
                server.blocking_wait();
                auto const takes_the_rest = [&](unsigned left) -> task<> {
                    for (unsigned i = 0; i < left; ++i) {
                        auto const stream = co_await listener.accept();
                        (void)co_await stream.value().write("x");
                    }
                };
                rt.block_on(takes_the_rest(n - begun.load()));
                for (auto const& each : clients) {
                    CHECK(each.is_greeted());
                }
            }
        });
    }
}

TEST_CASE("shutting the listener down ends all acceptors, and a bad one is one error") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto listener = listen_on_loopback();
        auto server = rt.spawn(io::serve(listener, &greet, {.acceptors = 5}));
        until([&] { return sum(operations(rt)) == 5; });
        CHECK(listener.shutdown());
        server.blocking_wait();
        CHECK(server.result().has_value());
        io::tcp_listener const none;
        CHECK_THROWS_AS(rt.block_on(io::serve(none, &greet, {.acceptors = 5})), std::system_error);
    });
}

}  // namespace
