// How long does a message of 64 bytes take over TCP to a server in the same runtime and back: over one connection
// (latency), over many at once (round_trips)?
// Yardsticks: two threads with blocking sockets (threads), and the four system calls of a round trip, one after the
// other in one thread (system_calls): what the kernel takes of it.

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ranges>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace magpie;
using message = std::array<std::byte, 64>;

constexpr long all_round_trips = 100'000;

// --- the server: reads what there is, and writes it back ---

task<> answer(io::tcp_stream client) {
    message buffer;
    for (;;) {
        auto const got = co_await client.read(buffer);
        if (!got || *got == 0) {
            co_return;
        }
        if (!co_await io::write_all(client, std::span(buffer).first(*got))) {
            co_return;
        }
    }
}

task<> answer_all(io::tcp_listener& listener, long clients) {
    for (long i = 0; i < clients; ++i) {
        spawn_detached(answer(std::move((co_await listener.accept()).value())));
    }
}

// --- the clients ---

task<> ask(io::endpoint server, long round_trips, std::vector<double>* microseconds) {
    using clock = std::chrono::steady_clock;
    auto stream = std::move((co_await io::tcp_stream::connect(server)).value());
    message buffer{};
    for (long i = 0; i < round_trips; ++i) {
        auto const begun = clock::now();
        (co_await io::write_all(stream, buffer)).value();
        (co_await io::read_exactly(stream, buffer)).value();
        if (microseconds != nullptr) {
            microseconds->push_back(std::chrono::duration<double, std::micro>(clock::now() - begun).count());
        }
    }
}

// The connections are made within the measured time: one for each, against hundreds of round trips.
task<> talk(long clients, long round_trips, std::vector<double>* microseconds) {
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    auto const server = listener.local_endpoint().value();
    auto const client = [=](long) { return ask(server, round_trips / clients, microseconds); };
    co_await gather(answer_all(listener, clients),
                    gather(std::views::iota(0L, clients) | std::views::transform(client)));
}

// --- the benchmarks ---

void round_trips(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    bench::measure_runs(state, rt, [&] { return talk(state.range(1), all_round_trips, nullptr); });
    bench::count(state, "round_trip", all_round_trips);
}
BENCHMARK(round_trips)
    ->ArgNames({"workers", "connections"})
    ->ArgsProduct({{1, 2}, {20, 64}})
    ->Apply(bench::whole_process)
    ->Unit(benchmark::kMillisecond);

void latency(benchmark::State& state) {
    constexpr long fewer = all_round_trips / 5;
    runtime rt(bench::with_workers(state));
    std::vector<double> microseconds;
    for (auto _ : state) {
        rt.block_on(talk(1, fewer, &microseconds));
    }
    bench::count(state, "round_trip", fewer);
    bench::count_latencies(state, microseconds);
}
BENCHMARK(latency)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

// The same with bare system calls. The end of the connection is an error, too.
bool send_to(io::tcp_stream const& stream, message const& buffer) {
    return ::send(stream.descriptor(), buffer.data(), buffer.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(buffer.size());
}

bool receive_from(io::tcp_stream const& stream, message& buffer) {
    return ::recv(stream.descriptor(), buffer.data(), buffer.size(), MSG_WAITALL) ==
           static_cast<ssize_t>(buffer.size());
}

io::tcp_stream connect_to(io::endpoint const& server) {
    io::tcp_stream stream(io::fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (::connect(stream.descriptor(), server.data(), server.size()) != 0) {
        throw std::system_error(errno, std::generic_category(), "connect");
    }
    stream.set_nodelay(true).value();
    return stream;
}

io::tcp_stream accept_from(io::tcp_listener const& listener) {
    return io::tcp_stream(io::fd(::accept(listener.descriptor(), nullptr, nullptr)));
}

void threads(benchmark::State& state) {
    constexpr long fewer = all_round_trips / 5;
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    auto const server = listener.local_endpoint().value();
    for (auto _ : state) {
        std::jthread const answering([&] {
            auto const there = accept_from(listener);
            message buffer;
            while (receive_from(there, buffer) && send_to(there, buffer)) {}
        });
        auto const here = connect_to(server);
        bool fine = true;
        message buffer{};
        for (long i = 0; i < fewer && fine; ++i) {
            fine = send_to(here, buffer) && receive_from(here, buffer);
        }
        if (!fine) {
            state.SkipWithError("the connection failed");
        }
    }
    bench::count(state, "round_trip", fewer);
}
BENCHMARK(threads)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void system_calls(benchmark::State& state) {
    auto const listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    auto const here = connect_to(listener.local_endpoint().value());
    auto const there = accept_from(listener);
    message buffer{};
    for (auto _ : state) {
        bool const fine = send_to(here, buffer) && receive_from(there, buffer) &&  //
                          send_to(there, buffer) && receive_from(here, buffer);
        if (!fine) {
            state.SkipWithError("the connection failed");
            return;
        }
    }
    bench::count(state, "round_trip", 1);
}
BENCHMARK(system_calls)->Apply(bench::whole_process);

}  // namespace
