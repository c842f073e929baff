// More workers than CPUs, each with an event loop: connections are stolen, rescued and woken across many of them.

#include <magpie/combinators/gather.hpp>
#include <magpie/io/buffered.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ranges>
#include <string_view>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr unsigned connections = 64;

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

// Sends messages of its own, each when it has the answer to the last one; how many answers were right.
task<unsigned> asks(io::endpoint where, unsigned me, unsigned times) {
    auto const stream = (co_await io::tcp_stream::connect(where)).value();
    unsigned right = 0;
    for (unsigned i = 0; i < times; ++i) {
        std::uint64_t const sent = (std::uint64_t{me} << 32) + i;
        std::array<std::byte, sizeof sent> message;
        std::memcpy(message.data(), &sent, sizeof sent);
        if (!co_await io::write_all(stream, io::const_buffer(message))) {
            break;
        }
        std::array<std::byte, sizeof sent> answer{};
        auto const got = co_await io::read_exactly(stream, answer);
        right += got && answer == message ? 1U : 0U;
    }
    co_return right;
}

TEST_CASE("many workers on few CPUs: 64 connections are echoed, each byte of them, and all end") {
    for (unsigned const workers : {16U, 64U}) {
        on_each_backend(workers, [&](config const& c) {
            unsigned const times = rounds(workers > 16 ? 20 : 50) + 1;
            runtime rt(c);
            auto const main = [&]() -> task<> {
                auto const listener = listen_on_loopback();
                auto const where = listener.local_endpoint().value();
                auto server = spawn(io::serve(listener, &echo, {.acceptors = 4}));
                auto const client = [&](unsigned i) { return asks(where, i, times); };
                auto const right = co_await gather(std::views::iota(0U, connections) | std::views::transform(client));
                for (unsigned const each : right) {
                    CHECK(each == times);
                }
                server.cancel();
                try {
                    co_await std::move(server);
                } catch (child_cancelled const&) {}
            };
            rt.block_on(main());
            until([&] { return rt.snapshot().tasks_live == 0; });
            CHECK(rt.snapshot().totals().operations == 0);
        });
    }
}

TEST_CASE("many workers on few CPUs: reads that are cancelled wherever they wait end, and lose no byte") {
    for (unsigned const workers : {16U, 64U}) {
        on_each_backend(workers, [&](config const& c) {
            runtime rt(c);
            if (std::string_view(rt.backend()) == "poll") {
                return;  // it asks whether a read would block, and then reads: another reader of the pipe may come between
            }
            auto const body = [&]() -> task<> {
                auto const ends = make_pipe();
                std::atomic<unsigned> ended{0};
                std::vector<std::byte> memory(connections);
                std::vector<join_handle<std::size_t>> readers;
                for (auto& each : memory) {
                    readers.push_back(spawn(reads_one(ends.read, each, ended)));
                }
                put(ends.write, "0123456789abcdef");
                co_await until_true([&] { return ended.load() >= 8; });
                for (auto& each : readers) {
                    each.cancel();
                }
                std::size_t bytes = 0;
                for (auto& each : readers) {
                    try {
                        bytes += co_await std::move(each);
                    } catch (child_cancelled const&) {}
                }
                std::array<std::byte, 32> rest;
                (void)::fcntl(ends.read.get(), F_SETFL, O_NONBLOCK);
                auto const left = ::read(ends.read.get(), rest.data(), rest.size());
                CHECK(bytes + static_cast<std::size_t>(left > 0 ? left : 0) == 16);
            };
            for (unsigned r = 0; r < rounds(20) + 1; ++r) {
                rt.block_on(body());
            }
        });
    }
}

}  // namespace
