// What does it cost to read a task_local variable, to set one, and to spawn a task that inherits a few?
// Yardsticks: a thread_local, and a spawn by a task that has set nothing.

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/task_local.hpp>

#include <benchmark/benchmark.h>

namespace {

using namespace magpie;

constexpr int rounds = 10'000;

task_local<int> first;
task_local<int> second;
task_local<int> third;
thread_local int of_thread = 1;

task<> nothing() {
    co_return;
}

// Runs body(round) in a task, often enough for one iteration.
template <class Body>
void in_task(benchmark::State& state, char const* item, int variables, Body body) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on([](int set, Body what) -> task<> {
            if (set > 0) {
                first.set(1);
                second.set(2);
                third.set(3);
            }
            for (int i = 0; i < rounds; ++i) {
                what(i);
            }
            co_return;
        }(variables, body));
    }
    bench::count(state, item, rounds);
}

void read_unset(benchmark::State& state) {
    in_task(state, "read", 0, [](int) { benchmark::DoNotOptimize(first.get()); });
}
void read_one_of_three(benchmark::State& state) {
    in_task(state, "read", 3, [](int) { benchmark::DoNotOptimize(third.get()); });
}
void read_thread_local(benchmark::State& state) {
    in_task(state, "read", 0, [](int) {
        benchmark::ClobberMemory();
        benchmark::DoNotOptimize(of_thread);
    });
}
void set_one(benchmark::State& state) {
    in_task(state, "set", 3, [](int i) { second.set(i); });
}
BENCHMARK(read_unset)->ArgName("workers")->Arg(1);
BENCHMARK(read_one_of_three)->ArgName("workers")->Arg(1);
BENCHMARK(read_thread_local)->ArgName("workers")->Arg(1);
BENCHMARK(set_one)->ArgName("workers")->Arg(1);

void spawn_with(benchmark::State& state, int variables) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on([](int set) -> task<> {
            if (set > 0) {
                first.set(1);
            }
            for (int i = 0; i < rounds; ++i) {
                co_await spawn(nothing());
            }
        }(variables));
    }
    bench::count(state, "spawn", rounds);
}
void spawn_with_none(benchmark::State& state) {
    spawn_with(state, 0);
}
void spawn_with_some(benchmark::State& state) {
    spawn_with(state, 1);
}
BENCHMARK(spawn_with_none)->ArgName("workers")->Arg(1);
BENCHMARK(spawn_with_some)->ArgName("workers")->Arg(1);

}  // namespace
