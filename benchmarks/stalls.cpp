// How long do others wait while one request in a thousand burns 20 ms of CPU? An echo server with two loops, 60
// connections of light requests and 4 of those that burn, at a steady rate; the latency of the light ones, each from the
// moment at which it was meant to be sent. With rescue and without; without burning, for comparison; with workers bound
// to CPUs, so that the one that is free does not have to share the CPU of the one that burns.
//
// The server is a process of its own, the client one thread over epoll, in real-time scheduling where that is allowed:
// when the kernel lets the client wait for a CPU, that is not the server's latency.

#include "support/counters.hpp"

#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/runtime.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr unsigned light_connections = 60;
constexpr unsigned heavy_connections = 4;
constexpr unsigned connections = light_connections + heavy_connections;
constexpr unsigned one_in = 1000;
constexpr duration burn = 20ms;
constexpr duration run_time = 3s;

// A message is the number of its request; the highest bit asks for a burn.
using message = std::uint64_t;
constexpr message burn_bit = message{1} << 63;

task<> echoes(io::tcp_stream stream) {
    message m = 0;
    for (;;) {
        auto const got = co_await io::read_exactly(stream, std::as_writable_bytes(std::span(&m, 1)));
        if (!got) {
            co_return;
        }
        if ((m & burn_bit) != 0) {
            auto const until = clock_type::now() + burn;
            while (clock_type::now() < until) {}
        }
        if (!co_await io::write_all(stream, std::as_bytes(std::span(&m, 1)))) {
            co_return;
        }
    }
}

[[noreturn]] void serve_for_ever(config const& c, int port_to) {
    run([](int to) -> task<> {
        auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
        std::uint16_t const port = listener.local_endpoint().value().port();
        (void)!::write(to, &port, sizeof port);
        co_await io::serve(listener, &echoes);
    }(port_to), c);
    ::_exit(0);
}

class server {
public:
    explicit server(config const& c) {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0 || (child_ = ::fork()) < 0) {
            throw std::runtime_error("no process for the server");
        }
        if (child_ == 0) {
            serve_for_ever(c, ends[1]);
        }
        (void)!::read(ends[0], &port, sizeof port);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    std::uint16_t port = 0;

private:
    pid_t child_ = -1;
};

int connect_to(std::uint16_t port) {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    int const on = 1;
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0 ||
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        throw std::runtime_error("cannot connect to the server");
    }
    return fd;
}

class client {
public:
    explicit client(std::uint16_t port) : poll_(::epoll_create1(EPOLL_CLOEXEC)) {
        for (unsigned i = 0; i < connections; ++i) {
            fds_.push_back(connect_to(port));
            epoll_event event{.events = EPOLLIN, .data = {.u32 = i}};
            ::epoll_ctl(poll_, EPOLL_CTL_ADD, fds_.back(), &event);
        }
    }
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client() {
        for (int const fd : fds_) {
            ::close(fd);
        }
        ::close(poll_);
    }

    // The latencies of the light requests, in microseconds.
    std::vector<double> run(double rate, bool burns) {
        begun_ = clock_type::now();
        auto const total = static_cast<message>(rate * std::chrono::duration<double>(run_time).count());
        for (message next = 0; answered_ < total;) {
            while (next < total && clock_type::now() >= due(next, rate)) {
                send(next, burns && next % one_in == one_in / 2);
                ++next;
            }
            receive(rate, next < total ? due(next, rate) : clock_type::now() + 10ms);
        }
        return std::move(latencies_);
    }

private:
    clock_type::time_point due(message m, double rate) const {
        return begun_ + std::chrono::duration_cast<duration>(std::chrono::duration<double>(static_cast<double>(m) / rate));
    }
    void send(message m, bool heavy) {
        unsigned const to = heavy ? light_connections + static_cast<unsigned>(m / one_in) % heavy_connections
                                  : static_cast<unsigned>(m % light_connections);
        message const sent = heavy ? m | burn_bit : m;
        if (::send(fds_[to], &sent, sizeof sent, MSG_NOSIGNAL) != sizeof sent) {
            throw std::runtime_error("the server has closed a connection");
        }
    }
    void receive(double rate, clock_type::time_point until) {
        std::array<epoll_event, connections> events{};
        auto const left = std::max(duration{}, duration(until - clock_type::now()));
        timespec const limit{.tv_sec = 0, .tv_nsec = left.count()};
        int const ready = ::epoll_pwait2(poll_, events.data(), connections, &limit, nullptr);
        for (int i = 0; i < ready; ++i) {
            std::array<message, 64> got{};
            ssize_t const bytes = ::recv(fds_[events[static_cast<std::size_t>(i)].data.u32], got.data(), sizeof got, 0);
            if (bytes <= 0 || bytes % static_cast<ssize_t>(sizeof(message)) != 0) {
                throw std::runtime_error("the server sent something else");
            }
            auto const now = clock_type::now();
            for (std::size_t k = 0; k < static_cast<std::size_t>(bytes) / sizeof(message); ++k) {
                ++answered_;
                if ((got[k] & burn_bit) == 0) {
                    latencies_.push_back(std::chrono::duration<double, std::micro>(now - due(got[k], rate)).count());
                }
            }
        }
    }

    int poll_;
    std::vector<int> fds_;
    clock_type::time_point begun_{};
    message answered_ = 0;
    std::vector<double> latencies_;
};

class real_time {
public:
    real_time() {
        sched_param const lowest{.sched_priority = 1};
        allowed_ = ::sched_setscheduler(0, SCHED_FIFO, &lowest) == 0;
    }
    real_time(real_time const&) = delete;
    real_time& operator=(real_time const&) = delete;
    ~real_time() {
        if (allowed_) {
            sched_param const none{};
            ::sched_setscheduler(0, SCHED_OTHER, &none);
        }
    }
    bool allowed() const { return allowed_; }

private:
    bool allowed_ = false;
};

void measure(benchmark::State& state, config c, bool burns) {
    c.workers = 2;
    c.hooks.on_stall = [](event_info const&) {};
    server const with(c);
    std::vector<double> latencies;
    for (auto _ : state) {
        client from(with.port);
        real_time const first;
        if (!first.allowed()) {
            state.SetLabel("client without real-time scheduling");
        }
        auto const some = from.run(static_cast<double>(state.range(0)), burns);
        latencies.insert(latencies.end(), some.begin(), some.end());
    }
    bench::count_latencies(state, latencies);
    state.counters["max_us"] = *std::ranges::max_element(latencies);
    std::ranges::nth_element(latencies, latencies.end() - static_cast<std::ptrdiff_t>(latencies.size() / 1000 + 1));
    state.counters["p999_us"] = *(latencies.end() - static_cast<std::ptrdiff_t>(latencies.size() / 1000 + 1));
}

void nobody_burns(benchmark::State& state) {
    measure(state, {}, false);
}
void one_burns(benchmark::State& state) {
    measure(state, {}, true);
}
void one_burns_on_bound_workers(benchmark::State& state) {
    config c;
    c.pin = true;
    measure(state, c, true);
}
void one_burns_without_rescue(benchmark::State& state) {
    config c;
    c.rescue = false;
    measure(state, c, true);
}

void setting(benchmark::internal::Benchmark* what) {
    what->ArgName("rate")->Arg(5000)->Arg(20000)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);
}
BENCHMARK(nobody_burns)->Apply(setting);
BENCHMARK(one_burns)->Apply(setting);
BENCHMARK(one_burns_on_bound_workers)->Apply(setting);
BENCHMARK(one_burns_without_rescue)->Apply(setting);

}  // namespace
