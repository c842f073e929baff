// What does a gather cost for each of many tasks: that end at once, that were spawned, that sleep, that are cancelled
// in their sleep?
// Yardstick: awaiting the same tasks one after the other (one_by_one).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <ranges>
#include <thread>
#include <vector>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

constexpr long million = 1'000'000;
constexpr long many = 100'000;

task<int> ready(int value) {
    co_return value;
}

task<> sleep_for(duration d) {
    co_await sleep(d);
}

std::vector<task<int>> make_tasks(long count) {
    std::vector<task<int>> tasks;
    tasks.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        tasks.push_back(ready(1));
    }
    return tasks;
}

task<> gather_ready(long count) {
    benchmark::DoNotOptimize(co_await gather(make_tasks(count)));
}

task<> gather_bounded(long count) {
    benchmark::DoNotOptimize(co_await gather(make_tasks(count), {.limit = 64}));
}

task<> await_each(long count) {
    for (auto& each : make_tasks(count)) {
        benchmark::DoNotOptimize(co_await std::move(each));
    }
}

task<> spawn_and_gather(long count) {
    std::vector<join_handle<int>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        handles.push_back(spawn(ready(1)));
    }
    benchmark::DoNotOptimize(co_await gather(std::move(handles)));
}

task<> gather_sleepers(long count, duration d) {
    co_await gather(std::views::iota(0L, count) | std::views::transform([d](long) { return sleep_for(d); }));
}

template <class Make>
void run_with(benchmark::State& state, Make make, long count) {
    runtime rt(bench::with_workers(state));
    bench::measure_runs(state, rt, [&] { return make(count); });
    bench::count(state, "task", static_cast<double>(count));
}

void ready_tasks(benchmark::State& state) {
    run_with(state, gather_ready, million);
}
BENCHMARK(ready_tasks)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void ready_tasks_64_at_a_time(benchmark::State& state) {
    run_with(state, gather_bounded, million);
}
BENCHMARK(ready_tasks_64_at_a_time)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void one_by_one(benchmark::State& state) {
    run_with(state, await_each, million);
}
BENCHMARK(one_by_one)->ArgName("workers")->Arg(1)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void spawned_tasks(benchmark::State& state) {
    run_with(state, spawn_and_gather, many);
}
BENCHMARK(spawned_tasks)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

// From the start to the end, the 10 ms of sleep included; what they cost is the CPU time.
void sleeping_tasks(benchmark::State& state) {
    run_with(state, [](long count) { return gather_sleepers(count, 10ms); }, many);
}
BENCHMARK(sleeping_tasks)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

// Only from cancel() until all have ended.
void cancelled_sleepers(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        auto sleepers = rt.spawn(gather_sleepers(million, 1h));
        while (rt.snapshot().totals().timers < million) {
            std::this_thread::sleep_for(1ms);
        }
        auto const begun = std::chrono::steady_clock::now();
        sleepers.cancel();
        sleepers.blocking_wait();
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
    bench::count(state, "task", million);
}
BENCHMARK(cancelled_sleepers)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Iterations(2)
    ->Unit(benchmark::kMillisecond);

}  // namespace
