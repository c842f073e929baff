// What another thread does for an event loop whose owner is stuck in a task. As in tests/runtime/stall_monitor_test.cpp:
// a task spins until what only a rescue can bring about has happened.

#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/loop/make_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<std::size_t> reads_one(io::fd const& from, std::byte& to, std::atomic<unsigned>& ended) {
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

TEST_CASE("operations that a stuck worker has begun complete on another, also those it has not submitted yet") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const computes = []() -> task<> {
            constexpr unsigned n = 50;
            std::vector<pipe_ends> pipes;
            std::vector<std::byte> bytes(n);
            std::vector<join_handle<std::size_t>> all;
            std::atomic<unsigned> ended{0};
            for (unsigned i = 0; i < n; ++i) {
                pipes.push_back(make_pipe());
            }
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(reads_one(pipes[i].read, bytes[i], ended), {.eager = true}));
            }
            for (unsigned i = 0; i < n; ++i) {
                put(pipes[i].write, "x");
            }
            until([&] { return ended == n; });
            for (auto& each : all) {
                CHECK(co_await std::move(each) == 1);
            }
        };
        rt.block_on(computes());
        CHECK(rt.snapshot().totals().completions_taken_over >= 1);
    });
}

TEST_CASE("what the kernel holds back for a stuck worker is brought out by a kick") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        for (unsigned r = 0; r < 20; ++r) {
            auto const ends = make_pipe();
            std::byte byte{};
            std::atomic<unsigned> ended{0};
            std::atomic<bool> stuck{false};
            auto const computes = [&]() -> task<> {
                auto one = spawn(reads_one(ends.read, byte, ended), {.eager = true});
                while (detail::current_driver().has_work()) {
                    detail::current_driver().poll();  // submitted: what comes now is task work of this thread
                }
                stuck = true;
                until([&] { return ended == 1; });
                co_await std::move(one);
            };
            auto h = rt.spawn(computes());
            until([&] { return stuck.load(); });
            put(ends.write, "x");
            h.blocking_wait();
            CHECK(h.result().has_value());
        }
    });
}

TEST_CASE("operations of a stuck worker can be cancelled, and their deadlines hold") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const computes = []() -> task<> {
            constexpr unsigned n = 50;
            auto const ends = make_pipe();
            std::vector<std::byte> bytes(n);
            std::atomic<unsigned> ended{0};
            std::vector<join_handle<std::size_t>> all;
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(reads_one(ends.read, bytes[i], ended), {.eager = true}));
            }
            for (auto& each : all) {
                each.cancel();
            }
            until([&] { return ended == n; });
            for (auto& each : all) {
                CHECK_THROWS_AS(co_await std::move(each), child_cancelled);
            }
            std::byte byte{};
            std::atomic<bool> timed_out{false};
            auto const in_time = [](io::fd const& from, std::byte& to, std::atomic<bool>& flag) -> task<> {
                auto const got = co_await io::timed_op({.code = io::opcode::read,
                                                        .fd = from.get(),
                                                        .offset = ~std::uint64_t{0},
                                                        .address = reinterpret_cast<std::uintptr_t>(&to),
                                                        .length = 1},
                                                       1ms);
                flag = got.error() == std::errc::timed_out;
            };
            auto late = spawn(in_time(ends.read, byte, timed_out), {.eager = true});
            until([&] { return timed_out.load(); });
            co_await std::move(late);
        };
        rt.block_on(computes());
    });
}

task<> echoes(io::tcp_stream stream) {
    std::byte bytes[64];
    for (;;) {
        auto const got = co_await stream.read(std::span(bytes));
        if (!got || *got == 0) {
            co_return;
        }
        if (!co_await io::write_all(stream, std::span(bytes, *got))) {
            co_return;
        }
    }
}

TEST_CASE("a connection whose worker is stuck is served by another, and new ones are accepted") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const computes = []() -> task<> {
            auto const listener = listen_on_loopback();
            auto const where = listener.local_endpoint().value();
            std::atomic<unsigned> served{0};
            auto const accepts = [](io::tcp_listener const& from) -> task<> {
                for (;;) {
                    auto stream = co_await from.accept();
                    spawn_detached(echoes(std::move(stream).value()));
                }
            };
            auto acceptor = spawn(accepts(listener), {.eager = true});
            std::thread client([&] {
                for (unsigned i = 0; i < 5; ++i) {
                    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                    sockaddr_in to{};
                    to.sin_family = AF_INET;
                    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                    to.sin_port = htons(where.port());
                    REQUIRE(::connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) == 0);
                    for (unsigned k = 0; k < 20; ++k) {
                        char byte = static_cast<char>('a' + k);
                        char back = 0;
                        REQUIRE(::write(fd, &byte, 1) == 1);
                        REQUIRE(::read(fd, &back, 1) == 1);
                        REQUIRE(back == byte);
                    }
                    ::close(fd);
                    served.fetch_add(1);
                }
            });
            until([&] { return served == 5; });
            client.join();
            acceptor.cancel();
            CHECK_THROWS_AS(co_await std::move(acceptor), child_cancelled);
        };
        rt.block_on(computes());
    });
}

// The hazard is in the driver: who takes completions away from a loop whose owner is just going to sleep takes away what
// was to wake it.
TEST_CASE("an owner that sleeps is woken, however many others take over from it meanwhile") {
    on_each_backend(1, [](config const& c) {
        auto const loop = io::make_loop(c, 0);
        unsigned const n = rounds(1000);
        std::atomic<unsigned> slept{0};
        std::atomic<bool> stop{false};
        std::thread owner([&] {
            while (!stop) {
                loop->park(time_point::max());
                slept.fetch_add(1);
            }
        });
        std::vector<std::thread> thieves;
        for (unsigned i = 0; i < 2; ++i) {
            thieves.emplace_back([&] {
                while (!stop) {
                    (void)loop->take_over();
                    (void)loop->reap();
                }
            });
        }
        for (unsigned i = 0; i < n; ++i) {
            unsigned const before = slept.load();
            loop->unpark();
            until([&] { return slept.load() != before; });
        }
        stop = true;
        loop->unpark();
        owner.join();
        for (auto& each : thieves) {
            each.join();
        }
    });
}

task<> borrows_one(io::tcp_stream const& from, std::atomic<unsigned>& ended) {
    try {
        auto const got = co_await from.read();
        ended.fetch_add(got && got->size() == 1 ? 1 : 1000);
    } catch (task_cancelled const&) {
        ended.fetch_add(1);
        throw;
    }
}

// All buffers of this worker's loop, by a task that is pinned to it.
task<std::vector<io::buffer>> all_buffers(connected& pair) {
    std::vector<io::buffer> held;
    do {
        (void)co_await pair.client.write("x");
        auto got = co_await pair.server.read();
        held.push_back(std::move(got).value());
    } while (detail::current_event_loop()->buffers()->available() != 0);
    co_return held;
}

// Begun, and found without a buffer, if `looked`; else that is left to the others.
void submit(bool looked) {
    while (looked && detail::current_driver().has_work()) {
        detail::current_driver().poll();
    }
}

template <class Body>
void while_all_buffers_are_lent(config c, Body body) {
    c.io.buffer_ring.count = 8;
    runtime rt(c);
    for (unsigned r = 0; r < rounds(20); ++r) {
        auto const computes = [&]() -> task<> {
            auto pair = co_await connect_pair();
            auto held = co_await all_buffers(pair);
            co_await body(pair, held, r % 2 == 0);
        };
        rt.block_on(computes(), {.pinned = true});
    }
}

TEST_CASE("a receive that waits for a buffer of a stuck worker's loop gets one of another's" *
          doctest::skip(!io_uring_is_allowed())) {
    while_all_buffers_are_lent(with_backend(io_backend::io_uring, 2),
                               [](connected& pair, std::vector<io::buffer>& held, bool looked) -> task<> {
                                   std::atomic<unsigned> ended{0};
                                   auto one = spawn(borrows_one(pair.server, ended), {.eager = true});
                                   REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
                                   submit(looked);
                                   until([&] { return ended == 1; });  // and this task keeps all of this loop's
                                   co_await std::move(one);
                                   CHECK(held.size() == 8);
                               });
}

TEST_CASE("receives that wait for a buffer of a stuck worker's loop go on when one comes back") {
    on_each_backend(2, [](config const& c) {
        while_all_buffers_are_lent(c, [](connected& pair, std::vector<io::buffer>& held, bool looked) -> task<> {
            std::atomic<unsigned> ended{0};
            auto one = spawn(borrows_one(pair.server, ended), {.eager = true});
            REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
            submit(looked);
            held.clear();
            until([&] { return ended == 1; });
            co_await std::move(one);
        });
    });
}

TEST_CASE("receives that wait for a buffer of a stuck worker's loop can be cancelled, while others take them over") {
    on_each_backend(2, [](config const& c) {
        while_all_buffers_are_lent(c, [](connected& pair, std::vector<io::buffer>&, bool looked) -> task<> {
            constexpr unsigned n = 20;
            std::atomic<unsigned> ended{0};
            std::vector<join_handle<>> all;
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(borrows_one(pair.server, ended), {.eager = true}));
            }
            REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
            submit(looked);
            for (auto& each : all) {
                each.cancel();
            }
            until([&] { return ended == n; });
            unsigned received = 0;
            for (auto& each : all) {
                try {
                    co_await std::move(each);
                    ++received;
                } catch (child_cancelled const&) {}
            }
            CHECK(received <= 1);  // what was cancelled has received nothing
        });
    });
}

}  // namespace
