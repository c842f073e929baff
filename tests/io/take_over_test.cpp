// What another thread does for an event loop whose owner is stuck in a task. As in tests/runtime/stall_monitor_test.cpp:
// a task spins until what only a rescue can bring about has happened.

#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/loop/make_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/detail/kick.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/scheduler/claim.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <errno.h>
#include <io/support/kit.hpp>
#include <io/support/refused_calls.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Begins reads and bursts, and computes until all have ended.
task<> begins_and_computes(unsigned n) {
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
}

TEST_CASE("operations that a stuck worker has begun complete on another, also those it has not submitted yet") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        rt.block_on(begins_and_computes(50));
        CHECK(rt.snapshot().totals().completions_taken_over >= 1);
    });
}

// Interrupted as often as it is begun.
task<io::result<std::size_t>> is_interrupted(std::atomic<unsigned>& ended) {
    constexpr std::uint32_t inject_result = 1;
    try {
        auto const end = co_await io::op({.length = static_cast<std::uint32_t>(-EINTR), .flags = inject_result});
        ended.fetch_add(1);
        co_return end;
    } catch (task_cancelled const&) {
        ended.fetch_add(1);
        throw;
    }
}

TEST_CASE("interrupted operations of a stuck worker are begun again on another, where they end or can be cancelled") {
    if (!io_uring_is_allowed()) {
        MESSAGE("io_uring is refused here");
        return;
    }
    auto const main = [](bool cancels) -> task<> {
        constexpr unsigned n = 20;
        if ((co_await io::op({.length = 5, .flags = 1})).value_or(0) != 5) {
            MESSAGE("this kernel does not know IORING_NOP_INJECT_RESULT");
            co_return;
        }
        std::atomic<unsigned> ended{0};
        std::vector<join_handle<io::result<std::size_t>>> all;
        for (unsigned i = 0; i < n; ++i) {
            all.push_back(spawn(is_interrupted(ended), {.eager = true}));
        }
        for (unsigned i = 0; cancels && i < n; ++i) {
            compute_until([&] { return ended >= i / 4; });
            all[i].cancel();
        }
        until([&] { return ended == n; });  // this worker has not come to any of them
        for (auto& each : all) {
            try {
                auto const got = co_await std::move(each);
                CHECK(got.error() == std::errc::interrupted);
            } catch (child_cancelled const&) {
                CHECK(cancels);
            }
        }
    };
    for (unsigned r = 0; r < rounds(20); ++r) {
        runtime rt(with_backend(io_backend::io_uring, 2));
        rt.block_on(main(r % 2 == 1));
        CHECK(rt.snapshot().totals().completions_taken_over >= 1);
    }
}

TEST_CASE("a ring with a submission thread is taken over too, also if that thread has gone to sleep") {
    if (!io_uring_is_allowed()) {
        MESSAGE("io_uring is refused here");
        return;
    }
    config c = with_backend(io_backend::io_uring, 2);
    c.io.sqpoll = true;
    runtime rt(c);
    auto const naps_first = []() -> task<> {
        auto const asleep = std::chrono::steady_clock::now() + 150ms;  // three times as long as it stays awake
        compute_until([&] { return std::chrono::steady_clock::now() > asleep; });
        co_await begins_and_computes(50);
    };
    rt.block_on(begins_and_computes(50));
    std::uint64_t const before = rt.snapshot().totals().completions_taken_over;
    CHECK(before >= 1);
    rt.block_on(naps_first());
    CHECK(rt.snapshot().totals().completions_taken_over > before);
    CHECK(rt.snapshot().totals().kicks == 0);  // the kernel's thread posts what it completes
}

// One operation that the kernel completes in the thread of a worker that makes no system call.
void hold_one_back(runtime& rt) {
    auto const ends = make_pipe();
    std::byte byte{};
    std::atomic<unsigned> ended{0};
    std::atomic<bool> stuck{false};
    auto const computes = [&]() -> task<> {
        auto one = spawn(reads_one(ends.read, byte, ended), {.eager = true});
        submit_what_was_begun();
        stuck = true;
        compute_until([&] { return ended == 1; });
        co_await std::move(one);
    };
    auto h = rt.spawn(computes());
    until([&] { return stuck.load(); });
    put(ends.write, "x");
    h.blocking_wait();
    CHECK(h.result().has_value());
}

// The timer tick, or another program on this CPU, may be faster; not every time.
TEST_CASE("what the kernel holds back for a stuck worker is brought out by a kick") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        bool const kicks = c.io.backend == io_backend::io_uring && detail::can_kick();
        unsigned r = 0;
        for (; r < 20 || (kicks && rt.snapshot().totals().kicks == 0); ++r) {
            hold_one_back(rt);
        }
        metrics const m = rt.snapshot();
        CHECK(m.totals().completions_taken_over + m.totals().completions >= r);
        CHECK((m.totals().kicks != 0) == kicks);
    });
}

// Without the system call, in a process of its own: what the library finds out about it holds for good.
TEST_CASE("inside a process without membarrier" * doctest::skip()) {
    REQUIRE_FALSE(detail::can_kick());
    CHECK_FALSE(detail::kick());
    detail::claim nobodys;
    CHECK_FALSE(nobodys.try_claim());
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        for (unsigned r = 0; r < 20; ++r) {
            hold_one_back(rt);  // until the next timer tick
        }
        rt.block_on(begins_and_computes(50));
        CHECK(rt.snapshot().totals().kicks == 0);
    });
}

TEST_CASE("where membarrier is refused everything is taken over all the same, by the timer tick") {
    check_without({.number = SYS_membarrier}, {"--no-skip", "--test-case=inside a process without membarrier"});
}

// Everybody who rescues finds the deadline due and the bytes there: the one must not hide the other.
TEST_CASE("a read whose deadline passes while its worker is stuck ends there and then, with what has come") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const computes = []() -> task<> {
            constexpr unsigned n = 50;
            auto const ends = make_pipe();
            std::atomic<unsigned> ended{0};
            std::atomic<unsigned> received{0};
            auto const in_time = [&]() -> task<> {
                std::byte byte{};
                auto const got = co_await io::timed_op({.code = io::opcode::read,
                                                        .fd = ends.read.get(),
                                                        .offset = ~std::uint64_t{0},
                                                        .address = reinterpret_cast<std::uintptr_t>(&byte),
                                                        .length = 1},
                                                       1us);
                CHECK((got.has_value() || got.error() == std::errc::timed_out));
                received.fetch_add(got.has_value() ? 1 : 0);
                ended.fetch_add(1);
            };
            put(ends.write, std::string(n, 'x'));
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(in_time(), {.eager = true}));
            }
            compute_until([&] { return ended == n; });
            CHECK(received >= 1);
            for (auto& each : all) {
                co_await std::move(each);
            }
        };
        rt.block_on(computes());
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

}  // namespace
