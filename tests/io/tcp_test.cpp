#include <magpie/io/tcp.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<std::string> read_text(io::tcp_stream const& from) {
    std::array<std::byte, 256> memory;
    auto const count = (co_await from.read(memory)).value();
    co_return std::string(text_of(std::span(memory).first(count)));
}

task<> accept_one(io::tcp_listener const& listener, io::tcp_stream& into) {
    into = (co_await listener.accept()).value();
}

// ------------------------------------------------------------------------------------------------ listening

TEST_CASE("a listener has the address it was given, and a port of its own") {
    auto const listener = listen_on_loopback();
    auto const where = listener.local_endpoint().value();
    CHECK(where.address_text() == "127.0.0.1");
    CHECK(where.port() != 0);
    CHECK(listener.is_open());
    CHECK(!io::tcp_listener().is_open());
}

TEST_CASE("a port that is in use is an error, and a sentence says so") {
    auto const first = listen_on_loopback();
    auto const where = first.local_endpoint().value();
    auto const second = io::tcp_listener::bind(where);
    REQUIRE(!second);
    CHECK(second.error() == std::errc::address_in_use);
    auto const sentence = io::tcp_listener::explain(second.error(), where);
    CHECK(sentence.find(where.to_string()) != sentence.npos);
    CHECK(sentence.find("in use") != sentence.npos);
    CHECK(sentence.find("ss -ltnp") != sentence.npos);
}

TEST_CASE("other reasons why nobody can listen have their sentences, too") {
    auto const foreign = io::tcp_listener::bind(io::endpoint("192.0.2.1:0"));
    REQUIRE(!foreign);
    CHECK(foreign.error() == std::errc::address_not_available);
    io::endpoint const where("192.0.2.1:80");
    auto const explain = [&](std::errc error) { return io::tcp_listener::explain(std::make_error_code(error), where); };
    CHECK(explain(std::errc::address_not_available).find("no such address") != std::string::npos);
    CHECK(explain(std::errc::permission_denied).find("privilege") != std::string::npos);
    CHECK(explain(std::errc::too_many_files_open).find("ulimit -n") != std::string::npos);
    CHECK(explain(std::errc::address_family_not_supported).find("[::]:80") != std::string::npos);
    CHECK(explain(std::errc::io_error).find(std::make_error_code(std::errc::io_error).message()) != std::string::npos);
}

TEST_CASE("with reuse_port several listeners share a port") {
    auto const first = listen_on_loopback({.reuse_port = true});
    auto const where = first.local_endpoint().value();
    CHECK(io::tcp_listener::bind(where, {.reuse_port = true}).has_value());
    CHECK(!io::tcp_listener::bind(where));
}

TEST_CASE("a port can be bound again at once, though old connections linger on it") {
    run_on_each_backend(1, []() -> task<> {
        auto where = io::endpoint::loopback_v4(0);
        for (int i = 0; i < 3; ++i) {
            auto const listener = io::tcp_listener::bind(where).value();
            where = listener.local_endpoint().value();
            auto client = (co_await io::tcp_stream::connect(where)).value();
            auto server = (co_await listener.accept()).value();
            server.close();  // the side that closes first lingers
            CHECK(co_await read_text(client) == "");
        }
    });
}

TEST_CASE("a listener on every address takes IPv4 connections, too") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = io::tcp_listener::bind(io::endpoint(":0"));
        if (!listener) {
            MESSAGE("no IPv6 here");
            co_return;
        }
        auto const port = listener->local_endpoint().value().port();
        auto const four = co_await io::tcp_stream::connect(io::endpoint::loopback_v4(port));
        CHECK(four.has_value());
        auto const accepted = (co_await listener->accept()).value();
        CHECK(accepted.remote_endpoint().value().is_v6());
    });
}

// ------------------------------------------------------------------------------------------------ connecting

TEST_CASE("both ends know both addresses") {
    run_on_each_backend(1, []() -> task<> {
        auto const pair = co_await connect_pair();
        CHECK(pair.client.local_endpoint().value() == pair.server.remote_endpoint().value());
        CHECK(pair.client.remote_endpoint().value() == pair.server.local_endpoint().value());
    });
}

TEST_CASE("small writes go out at once on both ends; that can be changed") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto const nodelay = [](io::tcp_stream const& s) {
            int value = -1;
            socklen_t size = sizeof value;
            ::getsockopt(s.descriptor(), IPPROTO_TCP, TCP_NODELAY, &value, &size);
            return value != 0;
        };
        CHECK(nodelay(pair.client));
        CHECK(nodelay(pair.server));
        CHECK(pair.client.set_nodelay(false));
        CHECK(!nodelay(pair.client));
    });
}

TEST_CASE("IO-01: a connection that nobody accepts is refused") {
    run_on_each_backend(1, []() -> task<> {
        // Bound, not listening: so nobody else can get the port.
        io::fd const nobodys(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        io::endpoint const any = io::endpoint::loopback_v4(0);
        REQUIRE(::bind(nobodys.get(), any.data(), any.size()) == 0);
        sockaddr_in bound{};
        socklen_t size = sizeof bound;
        REQUIRE(::getsockname(nobodys.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
        auto const where = io::endpoint::from_socket_address(reinterpret_cast<sockaddr*>(&bound), size).value();
        auto const refused = co_await io::tcp_stream::connect(where);
        CHECK(refused.error() == std::errc::connection_refused);
    });
}

TEST_CASE("connect by name tries the addresses in turn") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        auto const port = listener.local_endpoint().value().port();
        CHECK((co_await io::tcp_stream::connect("localhost", port)).has_value());
        CHECK((co_await io::tcp_stream::connect("127.0.0.1", port)).has_value());
        auto const refused = co_await io::tcp_stream::connect("::1", port);
        CHECK(!refused);
    });
}

TEST_CASE("CAN-25, IO-02: a pending connect is cancelled, and its socket closed") {
    run_on_each_backend(1, []() -> task<> {
        // A listener whose backlog is full answers no more.
        auto const listener = listen_on_loopback({.backlog = 0});
        auto const where = listener.local_endpoint().value();
        auto const first = co_await io::tcp_stream::connect(where);
        CHECK(first.has_value());
        auto const before = open_descriptors();
        std::vector<join_handle<io::result<io::tcp_stream>>> pending;
        for (int i = 0; i < 3; ++i) {
            pending.push_back(spawn(io::tcp_stream::connect(where)));
        }
        co_await let_others_run();
        std::size_t cancelled = 0;
        for (auto& each : pending) {
            each.cancel();
        }
        for (auto& each : pending) {
            try {
                (void)co_await std::move(each);
            } catch (child_cancelled const&) {
                ++cancelled;
            }
        }
        pending.clear();
        CHECK(cancelled >= 2);
        CHECK(open_descriptors() == before);
        CHECK(detail::current_driver().in_flight() == 0);
        // The listener works on.
        auto const accepted = co_await listener.accept();
        CHECK(accepted.has_value());
    });
}

TEST_CASE("CAN-25, IO-02: a pending accept is cancelled; the next one gets the connection") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        for (int i = 0; i < 3; ++i) {
            auto pending = spawn(listener.accept());
            co_await let_others_run();
            pending.cancel();
            CHECK_THROWS_AS((void)co_await std::move(pending), child_cancelled);
        }
        auto const client = (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
        auto const server = (co_await listener.accept()).value();
        (void)co_await client.write("to the one who stayed");
        CHECK(co_await read_text(server) == "to the one who stayed");
    });
}

TEST_CASE("D9, CAN-25, IO-02: a connection that was accepted before the request is delivered, not leaked") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        io::tcp_stream accepted;
        auto pending = spawn(accept_one(listener, accepted));
        co_await let_others_run();
        auto const client = (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
        detail::current_driver().poll();
        pending.cancel();
        co_await std::move(pending);  // nothing suspends after the accept
        CHECK(accepted.is_open());
    });
}

TEST_CASE("several accepts may wait at once, each gets one connection") {
    run_on_each_backend(2, []() -> task<> {
        auto const listener = listen_on_loopback();
        auto const where = listener.local_endpoint().value();
        std::vector<join_handle<io::result<io::tcp_stream>>> accepting;
        std::vector<io::tcp_stream> clients;
        for (int i = 0; i < 8; ++i) {
            accepting.push_back(spawn(listener.accept()));
        }
        for (int i = 0; i < 8; ++i) {
            clients.push_back((co_await io::tcp_stream::connect(where)).value());
        }
        for (auto& each : accepting) {
            auto const server = (co_await std::move(each)).value();
            CHECK(server.is_open());
        }
    });
}

TEST_CASE("a listener that is shut down ends the accepts that wait") {
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        auto pending = spawn(listener.accept());
        co_await let_others_run();
        CHECK(listener.shutdown());
        CHECK((co_await std::move(pending)).error() == std::errc::invalid_argument);
        CHECK((co_await listener.accept()).error() == std::errc::invalid_argument);
    });
}

// ------------------------------------------------------------------------------------------------ the end

TEST_CASE("IO-07: half close: one direction ends, the other goes on") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        (void)co_await pair.client.write("question");
        CHECK(pair.client.shutdown(io::shutdown_side::send));
        CHECK(co_await read_text(pair.server) == "question");
        CHECK(co_await read_text(pair.server) == "");
        CHECK(co_await read_text(pair.server) == "");  // as often as one asks
        (void)co_await pair.server.write("answer");
        CHECK(co_await read_text(pair.client) == "answer");
        CHECK((co_await pair.client.write("too late")).error() == std::errc::broken_pipe);
    });
}

TEST_CASE("IO-07: a read that waits sees the other side go") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto reader = spawn(read_text(pair.server));
        co_await let_others_run();
        pair.client.close();
        CHECK(co_await std::move(reader) == "");
        CHECK(!pair.client.is_open());
    });
}

TEST_CASE("a reset is an error for who reads, and for who writes afterwards; no signal") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        std::array<std::byte, 8> memory;
        auto reader = spawn(pair.server.read(memory));
        co_await let_others_run();
        CHECK(pair.client.reset_on_close());
        pair.client.close();
        CHECK((co_await std::move(reader)).error() == std::errc::connection_reset);
        CHECK((co_await pair.server.write("anybody there")).error() == std::errc::broken_pipe);
    });
}

TEST_CASE("shutting the receiving side down ends a read that waits") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto reader = spawn(read_text(pair.server));
        co_await let_others_run();
        CHECK(pair.server.shutdown(io::shutdown_side::both));
        CHECK(co_await std::move(reader) == "");
    });
}

TEST_CASE("a read or write that waits longer than the limit times out; the connection works on") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.set_wait_limit(1ms);
        CHECK(pair.server.wait_limit() == 1ms);
        std::array<std::byte, 8> memory;
        CHECK((co_await pair.server.read(memory)).error() == std::errc::timed_out);
        CHECK((co_await pair.server.read()).error() == std::errc::timed_out);
        std::string const much(1 << 20, 'm');
        io::result<std::size_t> written = std::size_t{0};
        while (written) {  // until both sockets are full
            written = co_await pair.server.write(much);
        }
        CHECK(written.error() == std::errc::timed_out);
        pair.server.set_wait_limit(0s);
        (void)co_await pair.client.write("still there");
        CHECK(co_await read_text(pair.server) == "still there");
    });
}

TEST_CASE("release() hands the socket on") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        io::fd raw = pair.client.release();
        CHECK(!pair.client.is_open());
        io::tcp_stream const again(std::move(raw));
        (void)co_await again.write("same");
        CHECK(co_await read_text(pair.server) == "same");
    });
}

}  // namespace
