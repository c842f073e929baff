#pragma once

// What the tests of io/ share: both event loops, descriptors that must not leak, connected sockets and pipes.

#include <magpie/io/endpoint.hpp>
#include <magpie/io/fd.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <runtime/support/kit.hpp>
#include <sys/syscall.h>
#include <unistd.h>

namespace magpie::tests {

// ThreadSanitizer starts its symboliser, with two pipes, at the first report that a suppression answers: there pipes are
// not looked at.
inline std::vector<std::string> list_of_descriptors() {
    std::vector<std::string> all;
    for (auto const& each : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        std::string const target = std::filesystem::read_symlink(each, gone).string();
#if defined(MAGPIE_TESTS_TSAN)
        if (target.starts_with("pipe:")) {
            continue;
        }
#endif
        all.push_back(each.path().filename().string() + " " + target);
    }
    return all;
}

inline std::size_t open_descriptors() { return list_of_descriptors().size(); }

// False where the kernel refuses io_uring: then only the poll loop can be tested.
inline bool io_uring_is_allowed() {
    static bool const allowed = [] {
        char parameters[120]{};
        long const ring = ::syscall(SYS_io_uring_setup, 1, parameters);
        if (ring >= 0) {
            ::close(static_cast<int>(ring));
        }
        return ring >= 0;
    }();
    return allowed;
}

inline config with_backend(io_backend backend, unsigned workers = 1) {
    config c;
    c.workers = workers;
    c.io.backend = backend;
    return c;
}

// Runs the body with a configuration for each event loop, and checks that each leaves no descriptor open.
template <class Body>
void on_each_backend(unsigned workers, Body body) {
    for (io_backend const backend : {io_backend::io_uring, io_backend::poll}) {
        if (backend == io_backend::io_uring && !io_uring_is_allowed()) {
            MESSAGE("io_uring is refused here: only the poll loop is tested");
            continue;
        }
        CAPTURE(workers);
        INFO("backend: ", backend == io_backend::io_uring ? "io_uring" : "poll");
        std::size_t const before = open_descriptors();
        body(with_backend(backend, workers));
        auto const after = list_of_descriptors();
        std::string names;
        for (auto const& each : after) {
            names += each + ", ";
        }
        CAPTURE(names);
        CHECK(after.size() == before);
    }
}

// The same, for a coroutine function that is the main task.
template <class Main>
void run_on_each_backend(unsigned workers, Main main) {
    on_each_backend(workers, [&](config const& c) { run(main(), c); });
}

// On one worker, and nobody else in the process does anything: no monitor, which may have to tell of a stall.
template <class Main>
void run_alone_on_each_backend(Main main) {
    on_each_backend(1, [&](config c) {
        c.rescue = false;
        run(main(), std::move(c));
    });
}

struct connected {
    connected(io::tcp_stream a, io::tcp_stream b) : client(std::move(a)), server(std::move(b)) {}
    io::tcp_stream client;
    io::tcp_stream server;
};

inline io::tcp_listener listen_on_loopback(io::listen_options options = {}) {
    return io::tcp_listener::bind(io::endpoint::loopback_v4(0), options).value();
}

// A connection through the loopback device.
inline task<connected> connect_pair() {
    auto const listener = listen_on_loopback();
    auto const where = listener.local_endpoint().value();
    auto client = co_await io::tcp_stream::connect(where);
    auto server = co_await listener.accept();
    co_return connected(std::move(client).value(), std::move(server).value());
}

struct pipe_ends {
    io::fd read;
    io::fd write;
};

inline pipe_ends make_pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    return {io::fd(ends[0]), io::fd(ends[1])};
}

// One read of a descriptor.
inline io::op<> read_some(io::fd const& from, std::span<std::byte> to) {
    return io::op({.code = io::opcode::read,
                   .fd = from.get(),
                   .offset = ~std::uint64_t{0},
                   .address = reinterpret_cast<std::uintptr_t>(to.data()),
                   .length = static_cast<std::uint32_t>(to.size())});
}

// Reads one byte, and counts when that is over.
inline task<std::size_t> reads_one(io::fd const& from, std::byte& to, std::atomic<unsigned>& ended) {
    io::result<std::size_t> got = std::unexpected(std::error_code{});
    try {
        got = co_await read_some(from, {&to, 1});
    } catch (task_cancelled const&) {
        ended.fetch_add(1);
        throw;
    }
    ended.fetch_add(1);
    co_return got.value();
}

inline void put(io::fd const& to, std::string_view text) {
    REQUIRE(::write(to.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

inline std::string_view text_of(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

// As until(), for a task that computes: without a system call, in which the kernel would do what it has put off.
template <class Predicate>
void compute_until(Predicate predicate) {
    auto const limit = std::chrono::steady_clock::now() + std::chrono::minutes{2};
    for (unsigned looks = 1; !predicate(); ++looks) {
        if (looks % 4096 == 0 && std::chrono::steady_clock::now() > limit) {
            std::fputs("computed in vain\n", stderr);
            std::abort();
        }
    }
}

// On a worker, for operations that were begun: the kernel knows them, and will complete them in this thread.
inline void submit_what_was_begun() {
    while (detail::current_driver().has_work()) {
        detail::current_driver().poll();
    }
}

// Lets everything that is ready run until it waits. Exact with one worker only.
inline task<> let_others_run() {
    for (int i = 0; i < 10; ++i) {
        co_await this_task::yield();
    }
}

// Gives the turn away until something becomes true; the test's time limit ends a wait in vain.
template <class Predicate>
task<> until_true(Predicate predicate) {
    while (!predicate()) {
        co_await this_task::yield();
    }
}

}  // namespace magpie::tests
