// What does it cost to receive into a buffer of one's own (own), into one that is borrowed from the loop when there is
// something (borrowed), or with one operation for many messages (multishot)? Echoes of 64 bytes in the natural order,
// read, write, read: real time and the server's CPU time for each (requests), memory of a connection that is idle
// (idle), latency over a connection whose loop is stuck half of the time (stuck).
// Yardstick: the same over a bare io_uring, without coroutines (bare_…).
//
// The server is a process of its own; the client is one thread over an io_uring of its own.

#include "support/bare_echo.hpp"
#include "support/counters.hpp"
#include "support/server_process.hpp"

#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace std::chrono_literals;
using bench::receive;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t all_requests = 200'000;
constexpr std::size_t buffer_size = 8192;  // as the loops' (config.io.buffer_ring.size)
constexpr long idle_connections = 10'000;

// In a message for the tail: compute for so long after the answer.
constexpr duration stuck_for = 200ms;
constexpr duration period = 2ms;
constexpr std::uint64_t stuck_every = 200;  // messages: half of the time
constexpr std::uint64_t stuck_bit = std::uint64_t{1} << 63;

// --- the servers ---

task<> compute() {
    auto const until = clock_type::now() + stuck_for;
    while (clock_type::now() < until) {}
    co_return;
}

// Holds up the worker that the connection is on.
void compute_if_asked(std::span<std::byte const> message) {
    std::uint64_t number = 0;
    std::memcpy(&number, message.data(), std::min(sizeof number, message.size()));
    if ((number & stuck_bit) != 0) {
        spawn_detached(compute(), {.pinned = true});
    }
}

task<> echo_own(io::tcp_stream client) {
    std::array<std::byte, buffer_size> buffer;
    for (;;) {
        auto const got = co_await client.read(buffer);
        if (!got || *got == 0 || !co_await client.write(std::span(buffer).first(*got))) {
            co_return;
        }
        compute_if_asked(std::span(buffer).first(*got));
    }
}

task<> echo_borrowed(io::tcp_stream client) {
    for (;;) {
        auto const got = co_await client.read();
        if (!got || got->empty() || !co_await client.write(io::const_buffer(got->bytes()))) {
            co_return;
        }
        compute_if_asked(got->bytes());
    }
}

template <class Tell>
task<> listen_and_serve(Tell tell, receive how) {
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    tell(listener.local_endpoint().value().port());
    constexpr io::serve_options options{.limit = 2 * idle_connections};
    if (how == receive::own) {
        co_await io::serve(listener, &echo_own, options);
    } else {
        co_await io::serve(listener, &echo_borrowed, options);
    }
}

auto magpie_server(receive how, unsigned workers, bool rescue = true) {
    return [=](auto tell) {
        config c;
        c.workers = workers;
        c.rescue = rescue;
        c.hooks.on_stall = [](event_info const&) {};
        run(listen_and_serve(tell, how), c);
    };
}

auto bare_server(receive how) {
    return [=](auto tell) {
        auto const listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
        bench::bare_echo server(how, buffer_size);
        tell(listener.local_endpoint().value().port());
        server.serve(listener.descriptor());
    };
}

// --- the measurements ---

template <class Serve>
void measure_requests(benchmark::State& state, Serve serve) {
    bench::server_process const server(serve);
    std::vector<bench::client_socket> sockets;
    bench::bare_echo client(receive::multishot);
    for (long i = 0; i < state.range(0); ++i) {
        sockets.emplace_back(server.port());
        client.add(sockets.back().descriptor());
    }
    client.ask(all_requests / 10);
    double const before = server.cpu_seconds();
    for (auto _ : state) {
        client.ask(all_requests);
    }
    double const requests = static_cast<double>(all_requests) * static_cast<double>(state.iterations());
    state.counters["server_cpu_us"] = (server.cpu_seconds() - before) / requests * 1e6;
    state.counters["per_second"] =
        benchmark::Counter(static_cast<double>(all_requests), benchmark::Counter::kIsIterationInvariantRate);
}

void own(benchmark::State& state) {
    measure_requests(state, magpie_server(receive::own, 1));
}
void borrowed(benchmark::State& state) {
    measure_requests(state, magpie_server(receive::borrowed, 1));
}
void bare_own(benchmark::State& state) {
    measure_requests(state, bare_server(receive::own));
}
void bare_borrowed(benchmark::State& state) {
    measure_requests(state, bare_server(receive::borrowed));
}
void bare_multishot(benchmark::State& state) {
    measure_requests(state, bare_server(receive::multishot));
}

void setting(benchmark::internal::Benchmark* what) {
    what->ArgName("connections")->Arg(64)->Arg(512)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(own)->Apply(setting);
BENCHMARK(borrowed)->Apply(setting);
BENCHMARK(bare_own)->Apply(setting);
BENCHMARK(bare_borrowed)->Apply(setting);
BENCHMARK(bare_multishot)->Apply(setting);

// Each connection has received something once, and then nothing more.
template <class Serve>
void measure_idle(benchmark::State& state, Serve serve) {
    constexpr std::array<char, bench::message_size> message{};
    for (auto _ : state) {
        bench::server_process const server(serve);
        bench::client_socket(server.port()).ask(message.data(), message.size());
        double const before = server.resident_bytes();
        std::vector<bench::client_socket> sockets;
        for (long i = 0; i < idle_connections; ++i) {
            sockets.emplace_back(server.port());
            sockets.back().ask(message.data(), message.size());
        }
        state.counters["bytes"] = (server.resident_bytes() - before) / static_cast<double>(idle_connections);
    }
}

void own_idle(benchmark::State& state) {
    measure_idle(state, magpie_server(receive::own, 1));
}
void borrowed_idle(benchmark::State& state) {
    measure_idle(state, magpie_server(receive::borrowed, 1));
}
void bare_own_idle(benchmark::State& state) {
    measure_idle(state, bare_server(receive::own));
}
void bare_borrowed_idle(benchmark::State& state) {
    measure_idle(state, bare_server(receive::borrowed));
}
void bare_multishot_idle(benchmark::State& state) {
    measure_idle(state, bare_server(receive::multishot));
}

void once(benchmark::internal::Benchmark* what) {
    what->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(own_idle)->Apply(once);
BENCHMARK(borrowed_idle)->Apply(once);
BENCHMARK(bare_own_idle)->Apply(once);
BENCHMARK(bare_borrowed_idle)->Apply(once);
BENCHMARK(bare_multishot_idle)->Apply(once);

// Messages at a steady rate over one connection; each latency counts from when the message was due.
std::vector<double> ask_steadily(int fd, std::uint64_t count, bool with_stalls) {
    std::vector<double> microseconds;
    auto const begun = clock_type::now();
    auto const due = [&](std::uint64_t i) { return begun + static_cast<long>(i) * period; };
    for (std::uint64_t sent = 0; microseconds.size() < count;) {
        while (sent < count && clock_type::now() >= due(sent)) {
            std::array<std::uint64_t, bench::message_size / sizeof(std::uint64_t)> message{};
            message[0] = sent | (with_stalls && sent % stuck_every == stuck_every / 2 ? stuck_bit : 0);
            if (::send(fd, message.data(), sizeof message, MSG_NOSIGNAL) != sizeof message) {
                throw std::runtime_error("the server has closed the connection");
            }
            ++sent;
        }
        auto const left = sent < count ? std::max(duration{}, duration(due(sent) - clock_type::now())) : duration(10ms);
        timespec const limit{.tv_sec = 0, .tv_nsec = left.count()};
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        if (::ppoll(&waiting, 1, &limit, nullptr) > 0) {
            std::array<std::uint64_t, bench::message_size / sizeof(std::uint64_t)> answer{};
            if (::recv(fd, answer.data(), sizeof answer, MSG_WAITALL) != sizeof answer) {
                throw std::runtime_error("the server has closed the connection");
            }
            auto const late = clock_type::now() - due(answer[0] & ~stuck_bit);
            microseconds.push_back(std::chrono::duration<double, std::micro>(late).count());
        }
    }
    return microseconds;
}

void measure_stuck(benchmark::State& state, receive how, bool rescue, bool with_stalls) {
    constexpr std::uint64_t messages = 2000;
    bench::server_process const server(magpie_server(how, 2, rescue));
    bench::client_socket const socket(server.port());
    std::vector<double> latencies;
    for (auto _ : state) {
        latencies = ask_steadily(socket.descriptor(), messages, with_stalls);
    }
    bench::count_latencies(state, latencies);
    state.counters["max_us"] = *std::ranges::max_element(latencies);
}

void own_never_stuck(benchmark::State& state) {
    measure_stuck(state, receive::own, true, false);
}
void borrowed_never_stuck(benchmark::State& state) {
    measure_stuck(state, receive::borrowed, true, false);
}
void own_stuck(benchmark::State& state) {
    measure_stuck(state, receive::own, true, true);
}
void borrowed_stuck(benchmark::State& state) {
    measure_stuck(state, receive::borrowed, true, true);
}
void own_stuck_without_rescue(benchmark::State& state) {
    measure_stuck(state, receive::own, false, true);
}
void borrowed_stuck_without_rescue(benchmark::State& state) {
    measure_stuck(state, receive::borrowed, false, true);
}
BENCHMARK(own_never_stuck)->Apply(once);
BENCHMARK(borrowed_never_stuck)->Apply(once);
BENCHMARK(own_stuck)->Apply(once);
BENCHMARK(borrowed_stuck)->Apply(once);
BENCHMARK(own_stuck_without_rescue)->Apply(once);
BENCHMARK(borrowed_stuck_without_rescue)->Apply(once);

}  // namespace
