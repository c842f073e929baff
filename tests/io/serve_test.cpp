#include <magpie/io/buffered.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <sys/resource.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<std::string> read_text(io::tcp_stream const& from) {
    std::array<std::byte, 256> memory;
    auto const count = (co_await from.read(memory)).value();
    co_return std::string(text_of(std::span(memory).first(count)));
}

task<> echo(io::tcp_stream stream) {
    for (;;) {
        auto const got = co_await stream.read();
        if (!got || got->empty()) {
            co_return;
        }
        if (!co_await io::write_all(stream, io::const_buffer(got->bytes()))) {
            co_return;
        }
    }
}

task<io::tcp_stream> connect_to(io::tcp_listener const& listener) {
    co_return (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
}

task<std::string> ask(io::tcp_stream const& stream, std::string_view what) {
    (void)co_await stream.write(what);
    co_return co_await read_text(stream);
}

// Cancels serve() and waits for its end.
template <class Handle>
task<> stop(Handle& server) {
    server.cancel();
    try {
        co_await std::move(server);
        FAIL("a cancelled server returned");
    } catch (child_cancelled const&) {}
}

TEST_CASE("each connection is served, in parallel, until it ends") {
    run_on_each_backend(2, []() -> task<> {
        auto const listener = listen_on_loopback();
        auto server = spawn(io::serve(listener, &echo));
        std::vector<io::tcp_stream> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(co_await connect_to(listener));
        }
        for (int round = 0; round < 3; ++round) {
            for (auto const& each : clients) {
                CHECK(co_await ask(each, "hello") == "hello");
            }
        }
        clients.clear();
        co_await stop(server);
    });
}

TEST_CASE("the listener may be moved in") {
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        auto const where = listener.local_endpoint().value();
        auto server = spawn(io::serve(std::move(listener), &echo));
        auto const client = (co_await io::tcp_stream::connect(where)).value();
        CHECK(co_await ask(client, "x") == "x");
        auto& open = const_cast<io::tcp_stream&>(client);
        open.close();
        co_await stop(server);
        CHECK((co_await io::tcp_stream::connect(where)).error() == std::errc::connection_refused);
    });
}

TEST_CASE("a handler may be a lambda with captures, which lives as long as the server") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        auto greeting = std::make_shared<std::string>("welcome");
        std::weak_ptr<std::string> const watched = greeting;
        auto handler = [greeting](io::tcp_stream stream) -> task<> {
            (void)co_await stream.write(std::string_view(*greeting));
            (void)co_await read_text(stream);
        };
        auto server = spawn(io::serve(listener, handler));
        auto client = co_await connect_to(listener);
        CHECK(co_await read_text(client) == "welcome");
        client.close();
        co_await stop(server);
        CHECK(watched.use_count() == 2);  // ours, and the one in `handler`: the server's is gone
    });
}

TEST_CASE("IO-05: a handler that throws is reported, and the server lives") {
    on_each_backend(1, [](config c) {
        event_log log;
        c.hooks.on_unhandled = log.listener();
        auto const main = []() -> task<> {
            auto const listener = listen_on_loopback();
            auto const handler = [](io::tcp_stream stream) -> task<> {
                auto const text = co_await read_text(stream);
                if (text == "bad") {
                    throw std::runtime_error("handler failed");
                }
                (void)co_await stream.write(std::string_view(text));
            };
            auto server = spawn(io::serve(listener, handler));
            auto const bad = co_await connect_to(listener);
            CHECK(co_await ask(bad, "bad") == "");  // its connection is closed
            auto const good = co_await connect_to(listener);
            CHECK(co_await ask(good, "good") == "good");
            co_await stop(server);
        };
        run(main(), c);
        REQUIRE(log.size() == 1);
        CHECK(log.entries()[0].error.find("handler failed") != std::string::npos);
        CHECK(log.entries()[0].name == "connection");
    });
}

TEST_CASE("no more connections are served at once than the limit; the others wait, and none is lost") {
    run_on_each_backend(2, []() -> task<> {
        auto const listener = listen_on_loopback();
        std::atomic<int> inside{0};
        std::atomic<int> most{0};
        auto const handler = [&](io::tcp_stream stream) -> task<> {
            int const now = inside.fetch_add(1) + 1;
            int seen = most.load();
            while (seen < now && !most.compare_exchange_weak(seen, now)) {}
            auto const text = co_await read_text(stream);
            inside.fetch_sub(1);
            (void)co_await stream.write(std::string_view(text));
        };
        auto server = spawn(io::serve(listener, handler, {.limit = 3}));
        std::vector<io::tcp_stream> clients;
        for (int i = 0; i < 12; ++i) {
            clients.push_back(co_await connect_to(listener));
        }
        co_await until_true([&] { return inside.load() == 3; });
        for (auto const& each : clients) {
            CHECK(co_await ask(each, "turn") == "turn");
        }
        CHECK(most.load() == 3);
        co_await stop(server);
    });
}

TEST_CASE("a limit of nothing is refused") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        CHECK_THROWS_AS(co_await io::serve(listener, &echo, {.limit = 0}), std::invalid_argument);
    });
}

TEST_CASE("IO-06: cancelling drains: no new connections, those that are there may finish") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        auto server = spawn(io::serve(listener, &echo, {.drain = 1h}));
        auto client = co_await connect_to(listener);
        CHECK(co_await ask(client, "before") == "before");
        server.cancel();
        co_await let_others_run();
        CHECK(!server.done());
        CHECK(co_await ask(client, "during") == "during");
        auto const late = co_await connect_to(listener);  // the kernel still takes it into its backlog
        (void)co_await late.write("anybody?");
        co_await let_others_run();
        client.close();
        CHECK_THROWS_AS(co_await std::move(server), child_cancelled);
        auto const accepted = co_await listener.accept();  // it was not touched
        CHECK(co_await read_text(accepted.value()) == "anybody?");
    });
}

TEST_CASE("connections that do not finish within the drain time are cancelled, and waited for") {
    run_on_each_backend(2, []() -> task<> {
        auto const listener = listen_on_loopback();
        std::atomic<int> cancelled{0};
        std::atomic<int> started{0};
        auto const handler = [&](io::tcp_stream stream) -> task<> {
            started.fetch_add(1);
            try {
                (void)co_await read_text(stream);
            } catch (task_cancelled const&) {
                cancelled.fetch_add(1);
                throw;
            }
        };
        for (duration const drain : {duration(1ms), duration(0)}) {
            auto const before = cancelled.load();
            started.store(0);
            auto server = spawn(io::serve(listener, handler, {.drain = drain}));
            std::vector<io::tcp_stream> clients;
            for (int i = 0; i < 5; ++i) {
                clients.push_back(co_await connect_to(listener));
            }
            co_await until_true([&] { return started.load() == 5; });
            co_await stop(server);
            CHECK(cancelled.load() == before + 5);
            for (auto const& each : clients) {
                CHECK(co_await read_text(each) == "");
            }
        }
    });
}

TEST_CASE("shutting the listener down ends the server, which drains and returns") {
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        auto server = spawn(io::serve(listener, &echo, {.drain = 1h}));
        auto client = co_await connect_to(listener);
        CHECK(co_await ask(client, "x") == "x");
        CHECK(listener.shutdown());
        CHECK(co_await ask(client, "y") == "y");
        client.close();
        co_await std::move(server);
    });
}

TEST_CASE("IO-06: shutting the listener down ends a server that is at its limit") {
    for (unsigned const acceptors : {1U, 3U}) {
        run_on_each_backend(2, [acceptors]() -> task<> {
            auto listener = listen_on_loopback();
            auto server = spawn(io::serve(listener, &echo, {.limit = 1, .drain = 1ms, .acceptors = acceptors}));
            auto const client = co_await connect_to(listener);
            CHECK(co_await ask(client, "x") == "x");
            CHECK(listener.shutdown());
            co_await std::move(server);  // the client stays: only the end of the drain time takes its place away
            CHECK(co_await read_text(client) == "");
        });
    }
}

TEST_CASE("a server that was at its limit drains as others do, and takes no connection above it") {
    run_on_each_backend(2, []() -> task<> {
        auto listener = listen_on_loopback();
        auto server = spawn(io::serve(listener, &echo, {.limit = 2, .drain = 1h, .acceptors = 2}));
        std::vector<io::tcp_stream> clients;
        for (int i = 0; i < 2; ++i) {
            clients.push_back(co_await connect_to(listener));
            CHECK(co_await ask(clients.back(), "x") == "x");
        }
        auto const waits = co_await connect_to(listener);  // in the backlog: no hang-up, and so nothing for the watch
        (void)co_await waits.write("anybody?");
        co_await let_others_run();
        server.cancel();
        CHECK(co_await ask(clients[0], "during") == "during");
        clients[0].close();
        CHECK(co_await ask(clients[1], "still") == "still");
        CHECK(!server.done());
        clients.clear();
        CHECK_THROWS_AS(co_await std::move(server), child_cancelled);
        auto const accepted = co_await listener.accept();
        CHECK(co_await read_text(accepted.value()) == "anybody?");
    });
}

TEST_CASE("a connection that is idle for too long is given up, one that talks is not") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        std::error_code seen;
        auto const handler = [&](io::tcp_stream stream) -> task<> {
            auto const got = co_await stream.read();
            if (!got) {
                seen = got.error();
            }
        };
        auto server = spawn(io::serve(listener, handler, {.idle_timeout = 1ms}));
        auto const client = co_await connect_to(listener);
        CHECK(co_await read_text(client) == "");
        CHECK(seen == std::errc::timed_out);
        co_await stop(server);
    });
}

TEST_CASE("without descriptors the server says so once, pauses, and goes on when there are some") {
#if defined(MAGPIE_TESTS_ASAN)
    MESSAGE("not tried: the sanitizer for undefined behaviour needs descriptors to look at an object's type");
    return;
#endif
    on_each_backend(1, [](config c) {
        event_log log;
        c.hooks.on_unhandled = log.listener();
        auto const main = [&]() -> task<> {
            auto const listener = listen_on_loopback();
            auto server = spawn(io::serve(listener, &echo));
            auto client = co_await connect_to(listener);
            CHECK(co_await ask(client, "x") == "x");
            auto second = co_await connect_to(listener);
            co_await let_others_run();
            CHECK(co_await ask(second, "x") == "x");

            rlimit before{};
            REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
            // The next connection's client gets the last descriptor there is.
            int const highest = ::dup(0);
            ::close(highest);
            rlimit tight = before;
            tight.rlim_cur = static_cast<rlim_t>(highest) + 1;
            REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
            auto third = co_await connect_to(listener);
            (void)co_await third.write("patience");
            co_await until_true([&] { return log.size() != 0; });
            REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
            CHECK(co_await read_text(third) == "patience");
            client.close();
            second.close();
            third.close();
            co_await stop(server);
        };
        run(main(), c);
        REQUIRE(log.size() == 1);
        CHECK(log.entries()[0].error.find("ulimit -n") != std::string::npos);
    });
}

TEST_CASE("what is no listener is an error") {
    run_on_each_backend(1, []() -> task<> {
        io::tcp_listener const none;
        CHECK_THROWS_AS(co_await io::serve(none, &echo), std::system_error);
    });
}

TEST_CASE("the runtime may be shut down around a server") {
    on_each_backend(2, [](config const& c) {
        auto const listener = listen_on_loopback();
        runtime rt(c);
        auto server = rt.spawn(io::serve(listener, &echo, {.drain = 1h}));
        auto const connect = [&]() -> task<io::tcp_stream> {
            auto client = co_await connect_to(listener);
            CHECK(co_await ask(client, "x") == "x");
            co_return client;
        };
        auto const client = rt.block_on(connect());
        CHECK(rt.shutdown(1min));
        CHECK(server.cancelled());
    });
}

}  // namespace
