#include <magpie/io/loop/uring_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using detail::uring_loop;

uring_loop& current() {
    return static_cast<uring_loop&>(detail::current_driver());
}

config tiny(unsigned workers = 1) {
    config c = with_backend(io_backend::io_uring, workers);
    c.io.ring_entries = 8;
    c.io.cq_entries = 16;
    return c;
}

template <class Main>
void run_on_uring(Main main, config const& c = with_backend(io_backend::io_uring)) {
    auto const before = open_descriptors();
    run(main(), c);
    CHECK(open_descriptors() == before);
}

// A read of a pipe of its own, in a task of its own.
struct pending_reads {
    explicit pending_reads(std::size_t count) : bytes(count) {
        for (std::size_t i = 0; i < count; ++i) {
            pipes.push_back(make_pipe());
            tasks.push_back(spawn(read_some(pipes.back().read, std::span(&bytes[i], 1))));
        }
    }
    std::vector<std::byte> bytes;
    std::vector<pipe_ends> pipes;
    std::vector<join_handle<io::result<std::size_t>>> tasks;
};

// What the kernel waits for on behalf of the rings of this process, as it tells in /proc; one line each.
std::size_t waited_for_by_rings() {
    std::size_t count = 0;
    for (auto const& each : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream file(each.path());
        bool in_list = false;
        for (std::string line; std::getline(file, line);) {
            count += in_list && line.starts_with(' ') ? 1 : 0;
            in_list = line == "PollList:" || (in_list && line.starts_with(' '));
        }
    }
    return count;
}

TEST_CASE("a loop whose thread ends leaves nothing in the kernel" * doctest::skip(!io_uring_is_allowed())) {
    std::unique_ptr<uring_loop> loop;
    std::size_t sleeping = 0;
    std::size_t retired = 0;
    std::thread owner([&] {
        loop = std::make_unique<uring_loop>(tiny().io);
        loop->park(now() + std::chrono::milliseconds(1));  // arms the read by which it would be woken
        sleeping = waited_for_by_rings();
        loop->retire();
        retired = waited_for_by_rings();
    });
    owner.join();
    if (sleeping == 0) {
        MESSAGE("this kernel does not tell what a ring waits for");
    }
    CHECK(retired == 0);
    CHECK(loop->in_flight() == 0);
    loop->unpark();  // may come as late as this
}

TEST_CASE("what was started is work, until it was submitted; a completion is work, until it was reaped" *
          doctest::skip(!io_uring_is_allowed())) {
    run_on_uring([]() -> task<> {
        uring_loop& loop = current();
        loop.poll();
        CHECK(!loop.has_work());
        pending_reads reads(1);
        co_await this_task::yield();
        // The reader's entry lies in the submission queue, unless the worker has looked around meanwhile.
        CHECK(loop.in_flight() == 1);
        loop.poll();
        CHECK(!loop.has_work());
        auto const completed = loop.completions();
        put(reads.pipes[0].write, "x");
        until([&] { return loop.has_work(); });
        CHECK(loop.completions() == completed);
        CHECK(loop.in_flight() == 1);
        loop.poll();
        CHECK(!loop.has_work());
        CHECK(loop.completions() == completed + 1);
        CHECK(loop.in_flight() == 0);
        CHECK((co_await std::move(reads.tasks[0])).value() == 1);
    });
}

TEST_CASE("any thread may reap, many at once: each completion is taken in once, and its task goes on" *
          doctest::skip(!io_uring_is_allowed())) {
    run_on_uring([]() -> task<> {
        uring_loop& loop = current();
        for (unsigned round = 0; round < rounds(50); ++round) {
            constexpr std::size_t count = 200;  // several batches
            pending_reads reads(count);
            co_await let_others_run();
            loop.poll();
            for (auto const& each : reads.pipes) {
                put(each.write, "r");
            }
            std::atomic<std::size_t> reaped{0};
            std::vector<std::thread> thieves;
            for (int i = 0; i < 3; ++i) {
                thieves.emplace_back([&] {
                    while (reaped.load() < count) {
                        reaped.fetch_add(loop.reap());
                        std::this_thread::yield();
                    }
                });
            }
            for (auto& each : thieves) {
                each.join();
            }
            CHECK(reaped.load() == count);
            CHECK(loop.in_flight() == 0);
            for (auto& each : reads.tasks) {
                CHECK((co_await std::move(each)).value() == 1);
            }
        }
    });
}

TEST_CASE("no more is in flight than the completion queue can hold, while tasks run; what waits for room gets it" *
          doctest::skip(!io_uring_is_allowed())) {
    run_on_uring(
        []() -> task<> {
            uring_loop& loop = current();
            constexpr std::size_t count = 100;
            pending_reads reads(count);
            co_await let_others_run();
            CHECK(loop.in_flight() <= 14);
            CHECK(loop.times_without_room() >= count - 14);
            for (std::size_t i = 0; i < count; ++i) {
                put(reads.pipes[i].write, "x");
                CHECK((co_await std::move(reads.tasks[i])).value() == 1);
            }
            CHECK(loop.in_flight() == 0);
        },
        tiny());
}

task<> write_one(pipe_ends const& to, std::atomic<bool>& written) {
    char const byte = 'x';
    auto const done = co_await io::op({.code = io::opcode::write,
                                       .fd = to.write.get(),
                                       .offset = ~std::uint64_t{0},
                                       .address = reinterpret_cast<std::uintptr_t>(&byte),
                                       .length = 1});
    CHECK(done.value() == 1);
    written = true;
}

// The operations in flight all wait for what waits for room behind them.
TEST_CASE("the completion queue's size keeps nothing from happening, whether the worker sleeps or is busy" *
          doctest::skip(!io_uring_is_allowed())) {
    for (bool const busy : {false, true}) {
        run_on_uring(
            [busy]() -> task<> {
                constexpr std::size_t count = 100;
                pending_reads reads(count);
                co_await let_others_run();
                for (std::size_t i = 0; i < count; ++i) {
                    std::atomic<bool> written{false};
                    auto writer = spawn(write_one(reads.pipes[i], written));
                    while (busy && !written) {
                        co_await this_task::yield();
                    }
                    co_await std::move(writer);
                }
                // More completions than the queue has places.
                for (auto& each : reads.tasks) {
                    CHECK((co_await std::move(each)).value() == 1);
                }
                CHECK(current().in_flight() == 0);
            },
            tiny());
    }
}

TEST_CASE("more completions at once than the queue has places: each comes once" *
          doctest::skip(!io_uring_is_allowed())) {
    for (unsigned const workers : {1U, 3U}) {
        run_on_uring(
            []() -> task<> {
                for (unsigned r = 0; r < rounds(20); ++r) {
                    constexpr std::size_t count = 200;
                    pending_reads reads(count);
                    co_await sleep(std::chrono::milliseconds(1));  // all of them are in the kernel
                    for (auto& each : reads.pipes) {
                        put(each.write, "x");
                    }
                    for (auto& each : reads.tasks) {
                        CHECK((co_await std::move(each)).value() == 1);
                    }
                }
            },
            tiny(workers));
    }
}

// Of one pipe, so that it takes no more than two descriptors.
struct many_reads {
    explicit many_reads(std::size_t count) : bytes(count) {
        for (std::byte& each : bytes) {
            tasks.push_back(spawn(read_some(ends.read, std::span(&each, 1))));
        }
    }
    pipe_ends ends = make_pipe();
    std::vector<std::byte> bytes;
    std::vector<join_handle<io::result<std::size_t>>> tasks;
};

TEST_CASE("a thousand times as many idle reads as the completion queue has places: all end, by bytes and by requests" *
          doctest::skip(!io_uring_is_allowed())) {
    run_on_uring(
        []() -> task<> {
            for (bool const by_request : {false, true}) {
                std::size_t const count = rounds(20'000);
                many_reads reads(count);
                co_await until_true([&] { return current().in_flight() >= count; });
                if (by_request) {
                    for (auto& each : reads.tasks) {
                        CHECK(each.cancel());
                    }
                } else {
                    put(reads.ends.write, std::string(count, 'x'));  // less than a pipe holds
                }
                std::size_t ended = 0;
                for (auto& each : reads.tasks) {
                    try {
                        auto const got = co_await std::move(each);
                        ended += got.value_or(0) == 1 && !by_request ? 1 : 0;
                    } catch (child_cancelled const&) {
                        ended += by_request ? 1 : 0;
                    }
                }
                CHECK(ended == count);
                CHECK(current().in_flight() == 0);
            }
        },
        tiny());
}

TEST_CASE("operations that wait for room can be cancelled, and those that take the room" *
          doctest::skip(!io_uring_is_allowed())) {
    run_on_uring(
        []() -> task<> {
            uring_loop& loop = current();
            for (bool const from_the_front : {true, false}) {
                constexpr std::size_t count = 60;
                pending_reads reads(count);
                co_await let_others_run();
                for (std::size_t i = 0; i < count; ++i) {
                    CHECK(reads.tasks[from_the_front ? i : count - 1 - i].cancel());
                }
                for (auto& each : reads.tasks) {
                    CHECK_THROWS_AS((void)co_await std::move(each), child_cancelled);
                }
                CHECK(loop.in_flight() == 0);
            }
        },
        tiny());
}

TEST_CASE("the same with several workers and a storm of cancellations" * doctest::skip(!io_uring_is_allowed())) {
    auto const storm = []() -> task<> {
        auto const one = [](unsigned seed) -> task<> {
            for (unsigned round = 0; round < rounds(60); ++round) {
                pending_reads reads(30);
                for (unsigned i = 0; i < seed % 4; ++i) {
                    co_await this_task::yield();
                }
                for (std::size_t i = 0; i < reads.tasks.size(); ++i) {
                    if ((i + seed) % 3 == 0) {
                        put(reads.pipes[i].write, "x");
                    }
                    reads.tasks[i].cancel();
                }
                for (auto& each : reads.tasks) {
                    try {
                        auto const got = co_await std::move(each);
                        CHECK(got.value() == 1);
                    } catch (child_cancelled const&) {}
                }
            }
        };
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < 4; ++i) {
            all.push_back(spawn(one(i)));
        }
        for (auto& each : all) {
            co_await std::move(each);
        }
    };
    run_on_uring(storm, tiny(3));
}

TEST_CASE("more operations at once than the submission queue has entries" * doctest::skip(!io_uring_is_allowed())) {
    config c = with_backend(io_backend::io_uring);
    c.io.ring_entries = 8;
    run_on_uring(
        []() -> task<> {
            std::vector<join_handle<io::result<std::size_t>>> all;
            for (int i = 0; i < 1000; ++i) {
                all.push_back(spawn(io::op({.code = io::opcode::nop})));
            }
            for (auto& each : all) {
                CHECK((co_await std::move(each)).has_value());
            }
        },
        c);
}

TEST_CASE("with a kernel thread that submits" * doctest::skip(!io_uring_is_allowed())) {
    config c = with_backend(io_backend::io_uring);
    c.io.sqpoll = true;
    c.io.ring_entries = 8;
    run_on_uring(
        []() -> task<> {
            pending_reads reads(40);
            co_await let_others_run();
            for (auto const& each : reads.pipes) {
                put(each.write, "x");
            }
            for (auto& each : reads.tasks) {
                CHECK((co_await std::move(each)).value() == 1);
            }
            pending_reads more(5);
            co_await let_others_run();
            for (auto& each : more.tasks) {
                each.cancel();
            }
            for (auto& each : more.tasks) {
                CHECK_THROWS_AS((void)co_await std::move(each), child_cancelled);
            }
        },
        c);
}

TEST_CASE("the ring lets others see its completions, and interrupts nobody" * doctest::skip(!io_uring_is_allowed())) {
    uring_loop const loop(io_config{});
    CHECK((loop.how().setup & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)) ==
          (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG));
    constexpr unsigned single_issuer = 1U << 12;
    constexpr unsigned defer_taskrun = 1U << 13;
    CHECK((loop.how().setup & (single_issuer | defer_taskrun)) == 0);
}

}  // namespace
