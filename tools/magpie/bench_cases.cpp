#include "bench_cases.hpp"

#include "echo_bench.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <algorithm>
#include <ranges>
#include <utility>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

namespace magpie::tools {

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t at_once = 64;

// Several tasks that share the operations; the time from the first to the last.
template <class MakeTask>
task<nanoseconds> timed_gather(std::size_t tasks, MakeTask make) {
    std::vector<task<>> all;
    all.reserve(tasks);
    for (std::size_t i = 0; i < tasks; ++i) {
        all.push_back(make());
    }
    time_point const begun = now();
    co_await gather(std::move(all));
    co_return now() - begun;
}

// --- nop

task<> nops(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        io::result<std::size_t> const done = co_await io::op({.code = io::opcode::nop});
        (void)done.value();
    }
}

task<nanoseconds> nop_one(std::size_t operations) {
    time_point const begun = now();
    co_await nops(operations);
    co_return now() - begun;
}

task<nanoseconds> nop_many(std::size_t operations) {
    auto const make = [each = operations / at_once] { return nops(each); };
    return timed_gather(at_once, make);
}

task<nanoseconds> system_calls(std::size_t operations) {
    time_point const begun = now();
    for (std::size_t i = 0; i < operations; ++i) {
        (void)::syscall(SYS_getppid);
    }
    co_return now() - begun;
}

// --- timer

task<> sleep_a_little() {
    co_await sleep(std::chrono::microseconds(1));
}

task<> do_nothing() {
    co_return;
}

task<nanoseconds> timers_fired(std::size_t operations) {
    return timed_gather(operations, &sleep_a_little);
}

task<nanoseconds> tasks_without_timer(std::size_t operations) {
    return timed_gather(operations, &do_nothing);
}

task<nanoseconds> timers_removed(std::size_t operations) {
    time_point const begun = now();
    for (std::size_t i = 0; i < operations; ++i) {
        co_await timeout(std::chrono::hours(1), this_task::yield());
    }
    co_return now() - begun;
}

task<nanoseconds> yields(std::size_t operations) {
    time_point const begun = now();
    for (std::size_t i = 0; i < operations; ++i) {
        co_await this_task::yield();
    }
    co_return now() - begun;
}

// --- spawn

task<nanoseconds> spawns(std::size_t operations) {
    constexpr std::size_t in_flight = 256;
    std::vector<join_handle<>> handles;
    handles.reserve(in_flight);
    time_point const begun = now();
    for (std::size_t done = 0; done < operations; done += in_flight) {
        for (std::size_t i = 0; i < in_flight; ++i) {
            handles.push_back(spawn(do_nothing()));
        }
        for (join_handle<>& each : handles) {
            co_await std::move(each);
        }
        handles.clear();
    }
    co_return now() - begun;
}

task<nanoseconds> plain_awaits(std::size_t operations) {
    time_point const begun = now();
    for (std::size_t i = 0; i < operations; ++i) {
        co_await do_nothing();
    }
    co_return now() - begun;
}

constexpr bench_case cases[] = {
    {"nop", "one at a time", 20'000, &nop_one, "a system call (getppid)", 200'000, &system_calls},
    {"nop", "64 at a time", 64 * 1'000, &nop_many, "a system call (getppid)", 200'000, &system_calls},
    {"timer", "armed and fired", 100'000, &timers_fired, "the same tasks without a timer", 100'000,
     &tasks_without_timer},
    {"timer", "armed and removed, with a yield", 100'000, &timers_removed, "a yield", 100'000, &yields},
    {"spawn", "spawned and joined", 256 * 400, &spawns, "awaited in place", 100'000, &plain_awaits},
    {"echo", "1 connection, round trips", 5'000, &echo_one, "two threads with blocking sockets", 5'000, &echo_blocking},
    {"echo", "64 connections, round trips", 64 * 200, &echo_many, "two threads with blocking sockets", 5'000,
     &echo_blocking},
};

}  // namespace

std::span<bench_case const> bench_cases() noexcept {
    return cases;
}

}  // namespace magpie::tools
