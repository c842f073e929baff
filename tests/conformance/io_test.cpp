// Rows about sockets and signals that the tests of io/ do not prove one by one.

#include <magpie/io/signals.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <signal.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Writes until the sockets on both sides are full.
task<std::size_t> fill(io::tcp_stream& stream) {
    std::string const much(1 << 20, 'f');
    std::size_t sent = 0;
    stream.set_wait_limit(20ms);
    for (;;) {
        auto const written = co_await stream.write(much);
        if (!written) {
            break;
        }
        sent += *written;
    }
    stream.set_wait_limit(0s);
    co_return sent;
}

task<io::result<std::size_t>> writes(io::tcp_stream const& stream, std::string text) {
    co_return co_await stream.write(text);
}

TEST_CASE("IO-04: several tasks wait for one socket's room: all of them go on when there is some") {
    for (unsigned const workers : {1U, 2U, 8U}) {
        run_on_each_backend(workers, []() -> task<> {
            auto pair = co_await connect_pair();
            std::size_t expected = co_await fill(pair.client);
            std::vector<join_handle<io::result<std::size_t>>> waiting;
            for (int i = 0; i < 5; ++i) {
                waiting.push_back(spawn(writes(pair.client, std::string(1000, 'w'))));
            }
            co_await let_others_run();
            std::vector<std::byte> memory(1 << 20);
            std::size_t got = 0;
            while (got < expected) {
                got += (co_await pair.server.read(memory)).value();
            }
            for (auto& each : waiting) {
                expected += (co_await std::move(each)).value();
            }
            pair.client.close();
            for (;;) {
                auto const n = (co_await pair.server.read(memory)).value();
                if (n == 0) {
                    break;
                }
                got += n;
            }
            CHECK(got == expected);
        });
    }
}

TEST_CASE("IO-04: and all of them get the error when the other side is gone") {
    for (unsigned const workers : {1U, 2U, 8U}) {
        run_on_each_backend(workers, []() -> task<> {
            auto pair = co_await connect_pair();
            std::string const text(16 << 20, 'w');  // more than both sockets hold
            auto const writes_all = [](io::tcp_stream const& to, std::string const& what) -> task<io::result<void>> {
                co_return co_await io::write_all(to, what);
            };
            std::vector<join_handle<io::result<void>>> waiting;
            for (int i = 0; i < 5; ++i) {
                waiting.push_back(spawn(writes_all(pair.client, text)));
            }
            co_await let_others_run();
            CHECK(pair.server.reset_on_close());
            pair.server.close();
            for (auto& each : waiting) {
                CHECK_FALSE((co_await std::move(each)).has_value());
            }
        });
    }
}

TEST_CASE("IO-07: what was written before the close arrives, all of it, and then the end") {
    run_on_each_backend(2, []() -> task<> {
        auto pair = co_await connect_pair();
        std::string const text(3'000'000, 't');
        auto const sends = [](io::tcp_stream to, std::string const& what) -> task<> {
            CHECK((co_await io::write_all(to, what)).has_value());
        };  // closes it
        auto sender = spawn(sends(std::move(pair.client), text));
        std::vector<std::byte> memory(1 << 16);
        std::size_t got = 0;
        for (;;) {
            auto const n = (co_await pair.server.read(memory)).value();
            if (n == 0) {
                break;
            }
            got += n;
        }
        CHECK(got == text.size());
        co_await std::move(sender);
    });
}

TEST_CASE("CAN-26: a read that was cancelled, and then the connection fails") {
    run_on_each_backend(2, []() -> task<> {
        auto pair = co_await connect_pair();
        std::array<std::byte, 16> memory;
        auto reading = spawn(pair.server.read(memory));
        co_await let_others_run();
        reading.cancel();
        CHECK(pair.client.reset_on_close());
        pair.client.close();
        bool ended = false;
        try {
            ended = !(co_await std::move(reading)).has_value();  // the reset was first
        } catch (child_cancelled const&) {
            ended = true;
        }
        CHECK(ended);
        CHECK_FALSE((co_await pair.server.write("x")).has_value());
    });
}

TEST_CASE("LOOP-11: signals to the process reach one task, once each, though all workers go to sleep in between") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        std::atomic<int> told{-1};
        auto const listens = [](std::atomic<int>& count) -> task<> {
            io::signal_stream stream({SIGUSR2});
            for (;;) {
                ++count;
                (void)co_await stream.next();
            }
        };
        auto h = rt.spawn(listens, std::ref(told));
        until([&] { return told == 0; });
        for (int i = 1; i <= 100; ++i) {
            auto const parks = rt.snapshot().totals().parks;
            REQUIRE(::kill(::getpid(), SIGUSR2) == 0);
            until([&] { return told >= i && rt.snapshot().totals().parks > parks; });
            CHECK(told == i);
        }
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled());
    });
}

}  // namespace
