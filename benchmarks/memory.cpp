// How much memory do tasks take: each of many that sleep (bytes_per_task), and a whole run at its worst moment, the
// program itself included (peak_mb)? Each is measured in a process of its own.
// Yardstick: a program that only has a runtime (peak_nothing).

#include "support/process.hpp"
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
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

constexpr long sleepers = 100'000;

task<> sleep_long() {
    co_await sleep(1h);
}

task<> gather_sleepers() {
    co_await gather(std::views::iota(0L, sleepers) | std::views::transform([](long) { return sleep_long(); }));
}

task<> spawn_sleepers() {
    std::vector<join_handle<void>> handles;
    handles.reserve(static_cast<std::size_t>(sleepers));
    for (long i = 0; i < sleepers; ++i) {
        handles.push_back(spawn(sleep_long()));
    }
    for (auto& each : handles) {
        co_await each;
    }
}

task<> nothing() {
    co_return;
}

task<> flat(long count) {
    co_await gather(std::views::iota(0L, count) | std::views::transform([](long) { return nothing(); }));
}

task<long> skynet(long first, long leaves);

template <std::size_t... I>
auto ten_branches(long first, long leaves, std::index_sequence<I...>) {
    return gather(skynet(first + static_cast<long>(I) * leaves, leaves)...);
}

task<long> skynet(long first, long leaves) {
    if (leaves == 1) {
        co_return first;
    }
    auto const sums = co_await ten_branches(first, leaves / 10, std::make_index_sequence<10>());
    co_return std::apply([](auto... each) { return (each + ...); }, sums);
}

// --- asleep ---

// The growth of the process from before the tasks are made until all of them sleep.
double bytes_asleep(task<> (*make)()) {
    runtime rt(bench::with_workers(1));
    rt.block_on(nothing());
    double const before = bench::resident_bytes();
    auto const all = rt.spawn(make());
    while (rt.snapshot().totals().timers < sleepers) {
        std::this_thread::sleep_for(1ms);
    }
    double const grown = bench::resident_bytes() - before;
    all.cancel();
    all.blocking_wait();
    return grown;
}

void measure_asleep(benchmark::State& state, task<> (*make)()) {
    double bytes = 0;
    for (auto _ : state) {
        bytes = bench::in_child([make] { return bytes_asleep(make); });
    }
    state.counters["bytes_per_task"] = bytes / sleepers;
}

void sleeping_gathered(benchmark::State& state) {
    measure_asleep(state, gather_sleepers);
}
BENCHMARK(sleeping_gathered)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void sleeping_spawned(benchmark::State& state) {
    measure_asleep(state, spawn_sleepers);
}
BENCHMARK(sleeping_spawned)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

// --- at the worst moment ---

template <class Make>
void measure_peak(benchmark::State& state, Make make) {
    double bytes = 0;
    for (auto _ : state) {
        bytes = bench::in_child([&] {
            runtime rt(bench::with_workers(state));
            rt.block_on(make());
            return bench::peak_bytes();
        });
    }
    state.counters["peak_mb"] = bytes / 1e6;
}

void peak_of(benchmark::internal::Benchmark* what) {
    what->ArgName("workers")->Arg(1)->Arg(2)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
}

void peak_nothing(benchmark::State& state) {
    measure_peak(state, nothing);
}
BENCHMARK(peak_nothing)->Apply(peak_of);

void peak_skynet_10m(benchmark::State& state) {
    measure_peak(state, [] { return skynet(0, 10'000'000); });
}
BENCHMARK(peak_skynet_10m)->Apply(peak_of);

void peak_flat_1m(benchmark::State& state) {
    measure_peak(state, [] { return flat(1'000'000); });
}
BENCHMARK(peak_flat_1m)->Apply(peak_of);

}  // namespace
