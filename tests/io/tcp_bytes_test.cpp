// What goes through a connection: every byte, in order, for one and for many.

#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <io/support/allocations.hpp>
#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<std::string> read_text(io::tcp_stream const& from) {
    std::array<std::byte, 256> memory;
    auto const count = (co_await from.read(memory)).value();
    co_return std::string(text_of(std::span(memory).first(count)));
}

// ------------------------------------------------------------------------------------------------ bytes

std::string random_bytes(std::minstd_rand& random, std::size_t size) {
    std::string bytes(size, '\0');
    for (char& each : bytes) {
        each = static_cast<char>(random());
    }
    return bytes;
}

task<> send_in_random_parts(io::tcp_stream& to, std::string const& all, unsigned seed) {
    std::minstd_rand random(seed);
    std::size_t at = 0;
    while (at < all.size()) {
        auto const part = std::string_view(all).substr(at, random() % 40'000 + 1);
        auto const put = (co_await to.write(part)).value();
        REQUIRE(put >= 1);
        REQUIRE(put <= part.size());
        at += put;
    }
    CHECK(to.shutdown(io::shutdown_side::send));
}

// Own buffers and borrowed ones in turn.
task<std::string> receive_in_random_parts(io::tcp_stream& from, unsigned seed) {
    std::minstd_rand random(seed);
    std::vector<std::byte> memory(50'000);
    std::string got;
    for (;;) {
        if (random() % 2 == 0) {
            auto const part = (co_await from.read()).value();
            if (part.empty()) {
                break;
            }
            got += part.text();
        } else {
            auto const count = (co_await from.read(std::span(memory).first(random() % memory.size() + 1))).value();
            if (count == 0) {
                break;
            }
            got += text_of(std::span(memory).first(count));
        }
    }
    co_return got;
}

TEST_CASE("IO-01: what is sent arrives, byte for byte, whatever the sizes, in both directions at once") {
    run_on_each_backend(2, []() -> task<> {
        std::minstd_rand random(17);
        for (unsigned round = 0; round < 4; ++round) {
            auto pair = co_await connect_pair();
            auto const up = random_bytes(random, 700'000 + random() % 1000);
            auto const down = random_bytes(random, 300'000 + random() % 1000);
            auto sender = spawn(send_in_random_parts(pair.client, up, round));
            auto back = spawn(send_in_random_parts(pair.server, down, round + 10));
            auto got_up = spawn(receive_in_random_parts(pair.server, round + 20));
            auto got_down = spawn(receive_in_random_parts(pair.client, round + 30));
            co_await std::move(sender);
            co_await std::move(back);
            bool const same_up = co_await std::move(got_up) == up;
            bool const same_down = co_await std::move(got_down) == down;
            CHECK(same_up);
            CHECK(same_down);
        }
    });
}

TEST_CASE("a gathered write sends the parts in order, up to sixteen of them") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        std::vector<io::const_buffer> parts;
        std::string const letters = "abcdefghijklmnopqrst";
        for (std::size_t i = 0; i < letters.size(); ++i) {
            parts.push_back(io::as_bytes(std::string_view(letters).substr(i, 1)));
        }
        CHECK((co_await pair.client.write(std::span<io::const_buffer const>(parts).first(3))).value() == 3);
        CHECK(co_await read_text(pair.server) == "abc");
        CHECK((co_await pair.client.write(std::span<io::const_buffer const>(parts))).value() == 16);
        CHECK(co_await read_text(pair.server) == "abcdefghijklmnop");
    });
}

TEST_CASE("an empty read or write does nothing") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        CHECK((co_await pair.client.write(std::string_view())).value() == 0);
        (void)co_await pair.client.write("x");
        CHECK((co_await pair.server.read(std::span<std::byte>())).value() == 0);
        CHECK(co_await read_text(pair.server) == "x");
    });
}

TEST_CASE("a round trip allocates nothing") {
    run_alone_on_each_backend([]() -> task<> {
        auto pair = co_await connect_pair();
        auto const echo = [&]() -> task<> {
            while (true) {
                auto const got = (co_await pair.server.read()).value();
                if (got.empty()) {
                    co_return;
                }
                (void)co_await pair.server.write(io::const_buffer(got.bytes()));
            }
        };
        auto server = spawn(echo());
        std::array<std::byte, 64> memory{};
        auto const trips = [&](int count) -> task<> {
            for (int i = 0; i < count; ++i) {
                (void)co_await pair.client.write(io::const_buffer(memory));
                (void)co_await pair.client.read(memory);
            }
        };
        co_await trips(20);
        auto const before = allocations_made();
        co_await trips(500);
        CHECK(allocations_made() <= before + (sanitized ? 1 : 0));
        pair.client.close();
        co_await std::move(server);
    });
}

// ------------------------------------------------------------------------------------------------ many

task<> echo_until_end(io::tcp_stream stream) {
    for (;;) {
        auto const got = (co_await stream.read()).value();
        if (got.empty()) {
            co_return;
        }
        (co_await io::write_all(stream, io::const_buffer(got.bytes()))).value();
    }
}

task<> accept_all(io::tcp_listener const& listener, int count) {
    std::vector<join_handle<void>> running;
    for (int i = 0; i < count; ++i) {
        running.push_back(spawn(echo_until_end((co_await listener.accept()).value())));
    }
    for (auto& each : running) {
        co_await std::move(each);
    }
}

task<bool> talk(io::endpoint where, unsigned seed) {
    auto stream = (co_await io::tcp_stream::connect(where)).value();
    std::minstd_rand random(seed);
    for (int i = 0; i < 5; ++i) {
        auto const sent = random_bytes(random, random() % 2000 + 1);
        std::string got(sent.size(), '\0');
        (co_await io::write_all(stream, sent)).value();
        (co_await io::read_exactly(stream, std::as_writable_bytes(std::span(got)))).value();
        if (got != sent) {
            co_return false;
        }
    }
    co_return true;
}

TEST_CASE("five hundred connections at once, on two workers") {
    run_on_each_backend(2, []() -> task<> {
        constexpr int count = sanitized ? 100 : 500;
        auto const listener = listen_on_loopback();
        auto const where = listener.local_endpoint().value();
        auto server = spawn(accept_all(listener, count));
        std::vector<join_handle<bool>> clients;
        for (unsigned i = 0; i < count; ++i) {
            clients.push_back(spawn(talk(where, i)));
        }
        int right = 0;
        for (auto& each : clients) {
            right += co_await std::move(each) ? 1 : 0;
        }
        CHECK(right == count);
        co_await std::move(server);
    });
}

}  // namespace
