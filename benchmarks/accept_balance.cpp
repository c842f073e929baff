// How evenly are connections, and the requests over them, spread over the loops of a server? Connections that stay
// (long_lived), that end after one request (short_lived), and the latency of one request after the other over new
// connections while one loop is stuck half of the time (stuck).
// Compared: how many connections are waited for at the same time, with and without beginning them on the loop that has
// the least to do; and a listener for each loop on the same port (reuse_port).
//
// Counters: of the loops' shares, the least and the most in percent, and the standard deviation in percent of the mean.

#include "support/bare_echo.hpp"
#include "support/counters.hpp"
#include "support/server_process.hpp"

#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t most_workers = 16;
constexpr std::array<char, bench::message_size> message{};

enum way : long {
    one_acceptor,         // begun where accepted
    one_acceptor_spread,  // begun on the loop with the least to do
    acceptors,
    acceptors_spread,  // the default
    reuse_port,
};

// What the server has counted, in memory that the client sees, too. By worker.
struct tally {
    std::array<std::atomic<std::uint64_t>, most_workers> connections{};
    std::array<std::atomic<std::uint64_t>, most_workers> requests{};
};

class shared_tally {
public:
    shared_tally()
        : memory_(::mmap(nullptr, sizeof(tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) {
            throw std::bad_alloc();
        }
        new (memory_) tally;
    }
    shared_tally(shared_tally const&) = delete;
    shared_tally& operator=(shared_tally const&) = delete;
    ~shared_tally() { ::munmap(memory_, sizeof(tally)); }
    tally& operator*() const noexcept { return *static_cast<tally*>(memory_); }

private:
    void* memory_;
};

// --- the server ---

class counting_echo {
public:
    explicit counting_echo(tally& to) noexcept : to_(&to) {}
    task<> operator()(io::tcp_stream stream) const { return serve(std::move(stream), *to_); }

private:
    static void count(std::array<std::atomic<std::uint64_t>, most_workers>& what) noexcept {
        what[this_task::worker() % most_workers].fetch_add(1, std::memory_order_relaxed);
    }
    static task<> serve(io::tcp_stream stream, tally& to) {
        count(to.connections);
        for (;;) {
            auto const got = co_await stream.read();
            if (!got || got->empty()) {
                co_return;
            }
            count(to.requests);
            if (!co_await stream.write(io::const_buffer(got->bytes()))) {
                co_return;
            }
        }
    }

    tally* to_;
};

task<> serve(io::tcp_listener listener, tally& to, io::serve_options options) {
    co_await io::serve(std::move(listener), counting_echo(to), options);
}

task<> stuck_half_of_the_time() {
    for (;;) {
        auto const until = clock_type::now() + 200ms;
        while (clock_type::now() < until) {}
        co_await sleep(200ms);
    }
}

io::serve_options options_of(way how) {
    bool const one = how == one_acceptor || how == one_acceptor_spread || how == reuse_port;
    return {
        .limit = 20'000, .acceptors = one ? 1U : 0U, .spread = how == one_acceptor_spread || how == acceptors_spread};
}

auto server(way how, unsigned workers, tally& to, bool one_stuck) {
    return [=, &to](auto tell) {
        config c;
        c.workers = workers;
        c.hooks.on_stall = [](event_info const&) {};
        runtime rt(c);
        unsigned const listeners = how == reuse_port ? workers : 1;
        std::uint16_t port = 0;
        for (unsigned i = 0; i < listeners; ++i) {
            auto where = io::endpoint::loopback_v4(port);
            auto listener = io::tcp_listener::bind(where, {.reuse_port = how == reuse_port}).value();
            port = listener.local_endpoint().value().port();
            // Pinned tasks from outside begin on the workers in turn.
            rt.spawn(serve(std::move(listener), to, options_of(how)), {.pinned = how == reuse_port}).detach();
        }
        if (one_stuck) {
            rt.spawn(stuck_half_of_the_time(), {.pinned = true}).detach();
        }
        tell(port);
        std::this_thread::sleep_for(24h);
    };
}

// --- the measurements ---

void count_spread(benchmark::State& state, std::string const& what,
                  std::array<std::atomic<std::uint64_t>, most_workers> const& counts) {
    auto const workers = static_cast<std::size_t>(state.range(0));
    std::vector<double> shares(workers);
    double sum = 0;
    for (std::size_t i = 0; i < workers; ++i) {
        shares[i] = static_cast<double>(counts[i].load(std::memory_order_relaxed));
        sum += shares[i];
    }
    double const mean = sum / static_cast<double>(workers);
    double variance = 0;
    for (double const each : shares) {
        variance += (each - mean) * (each - mean) / static_cast<double>(workers);
    }
    state.counters[what + "_min_pct"] = *std::ranges::min_element(shares) / sum * 100;
    state.counters[what + "_max_pct"] = *std::ranges::max_element(shares) / sum * 100;
    state.counters[what + "_sd_pct"] = std::sqrt(variance) / mean * 100;
}

void clear(std::array<std::atomic<std::uint64_t>, most_workers>& counts) {
    for (auto& each : counts) {
        each.store(0, std::memory_order_relaxed);
    }
}

void label(benchmark::State& state, way how) {
    constexpr std::array names{"one acceptor", "one acceptor, spread", "an acceptor per loop",
                               "an acceptor per loop, spread", "a listener per loop (reuse_port)"};
    state.SetLabel(names[static_cast<std::size_t>(how)]);
}

void long_lived(benchmark::State& state) {
    constexpr std::size_t connections = 512;
    constexpr std::size_t requests = 100'000;
    auto const how = static_cast<way>(state.range(1));
    label(state, how);
    shared_tally const counts;
    bench::server_process const with(server(how, static_cast<unsigned>(state.range(0)), *counts, false));
    std::vector<bench::client_socket> sockets;
    bench::bare_echo client(bench::receive::multishot);
    for (std::size_t i = 0; i < connections; ++i) {
        sockets.emplace_back(with.port());
        client.add(sockets.back().descriptor());
    }
    client.ask(connections);
    clear((*counts).requests);
    client.ask(connections);  // each once, so this is where they are
    count_spread(state, "live", (*counts).requests);
    clear((*counts).requests);
    double const before = with.cpu_seconds();
    for (auto _ : state) {
        client.ask(requests);
    }
    state.counters["cpu_us"] = (with.cpu_seconds() - before) / static_cast<double>(requests) * 1e6;
    count_spread(state, "begun", (*counts).connections);
    count_spread(state, "requests", (*counts).requests);
}

void short_lived(benchmark::State& state) {
    constexpr std::size_t connections = 20'000;
    constexpr std::size_t at_once = 32;
    auto const how = static_cast<way>(state.range(1));
    label(state, how);
    shared_tally const counts;
    bench::server_process const with(server(how, static_cast<unsigned>(state.range(0)), *counts, false));
    double const before = with.cpu_seconds();
    for (auto _ : state) {
        for (std::size_t i = 0; i < connections; i += at_once) {
            std::vector<bench::client_socket> sockets;
            for (std::size_t k = 0; k < at_once; ++k) {
                sockets.emplace_back(with.port());
                sockets.back().send(message.data(), message.size());
            }
            for (auto const& each : sockets) {
                each.receive(message.size());
            }
        }
    }
    state.counters["cpu_us"] = (with.cpu_seconds() - before) / static_cast<double>(connections) * 1e6;
    count_spread(state, "begun", (*counts).connections);
    count_spread(state, "requests", (*counts).requests);
}

void stuck(benchmark::State& state) {
    constexpr duration period = 2ms;
    constexpr duration run_time = 3s;
    auto const how = static_cast<way>(state.range(1));
    label(state, how);
    shared_tally const counts;
    bench::server_process const with(server(how, static_cast<unsigned>(state.range(0)), *counts, true));
    std::vector<double> microseconds;
    for (auto _ : state) {
        auto const begun = clock_type::now();
        for (auto due = begun; due < begun + run_time; due += period) {
            std::this_thread::sleep_until(due);
            auto const before = clock_type::now();
            bench::client_socket const one(with.port());
            one.send(message.data(), message.size());
            one.receive(message.size());
            microseconds.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - before).count());
        }
    }
    bench::count_latencies(state, microseconds);
    state.counters["max_us"] = *std::ranges::max_element(microseconds);
}

void setting(benchmark::internal::Benchmark* what) {
    what->ArgNames({"workers", "way"})->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
}
void two_and_four(benchmark::internal::Benchmark* what) {
    what->ArgsProduct({{2, 4}, {one_acceptor, one_acceptor_spread, acceptors, acceptors_spread, reuse_port}});
    setting(what);
}
void two(benchmark::internal::Benchmark* what) {
    what->ArgsProduct({{2}, {one_acceptor, one_acceptor_spread, acceptors, acceptors_spread, reuse_port}});
    setting(what);
}
BENCHMARK(long_lived)->Apply(two_and_four);
BENCHMARK(short_lived)->Apply(two_and_four);
BENCHMARK(stuck)->Apply(two);

}  // namespace
