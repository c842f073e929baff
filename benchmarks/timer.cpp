// What does it cost to arm a timer and to take it back, and what per task when many sleep at once?
// Yardstick: reading the clock (clock), which nobody who sets a deadline can do without.

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <vector>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

task<> sleep_for_ever() {
    co_await sleep_until(time_point::max());
}

task<> sleep_a_little() {
    co_await sleep(1ms);
}

task<> arm_and_cancel(long count) {
    for (long i = 0; i < count; ++i) {
        auto sleeper = spawn(sleep_for_ever());
        co_await this_task::yield();
        sleeper.cancel();
        co_await this_task::yield();
    }
}

task<> sleep_together(long count) {
    std::vector<join_handle<void>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        handles.push_back(spawn(sleep_a_little()));
    }
    for (auto& each : handles) {
        co_await each;
    }
}

void cancelled(benchmark::State& state) {
    runtime rt(bench::with_workers(1));
    for (auto _ : state) {
        rt.block_on(arm_and_cancel(state.range(0)));
    }
    bench::count(state, "timer", static_cast<double>(state.range(0)));
}
BENCHMARK(cancelled)->ArgName("tasks")->Arg(10'000)->Apply(bench::whole_process);

void expired(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on(sleep_together(state.range(1)));
    }
    bench::count(state, "timer", static_cast<double>(state.range(1)));
}
BENCHMARK(expired)->ArgNames({"workers", "tasks"})->ArgsProduct({{1, 2}, {1000, 100'000}})->Apply(bench::whole_process);

void clock(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(now());
    }
    bench::count(state, "call", 1);
}
BENCHMARK(clock)->Apply(bench::whole_process);

}  // namespace
