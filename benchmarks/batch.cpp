// What does a batch cost for each item, with so many at a time: items that end at once (ready), and items that let the
// others run first (yielding)?
// Yardsticks: gather with the same limit (gather_ready), and a loop of awaits (loop).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <ranges>
#include <vector>

namespace {

using namespace magpie;

constexpr long items = 100'000;

task<long> ready(long item) {
    co_return item;
}

task<long> yielding(long item) {
    co_await this_task::yield();
    co_return item;
}

// fn: one of the two above.
using function = task<long> (*)(long);

task<> run_batch(function fn, std::size_t limit) {
    benchmark::DoNotOptimize(co_await batch(std::views::iota(0L, items), fn, {.limit = limit}));
}

task<> run_batch_each(function fn, std::size_t limit) {
    co_await batch_each(std::views::iota(0L, items), fn, {.limit = limit});
}

task<> run_gather(function fn, std::size_t limit) {
    benchmark::DoNotOptimize(
        co_await gather(std::views::iota(0L, items) | std::views::transform(fn), {.limit = limit}));
}

task<> run_loop(function fn, std::size_t) {
    for (long i = 0; i < items; ++i) {
        benchmark::DoNotOptimize(co_await fn(i));
    }
}

void run(benchmark::State& state, task<> (*how)(function, std::size_t), function fn) {
    runtime rt(bench::with_workers(state));
    bench::measure_runs(state, rt, [&] { return how(fn, static_cast<std::size_t>(state.range(1))); });
    bench::count(state, "item", items);
}

void limits(benchmark::internal::Benchmark* what) {
    what->ArgNames({"workers", "limit"})->ArgsProduct({{1, 2}, {1, 64, 4096}})->Apply(bench::whole_process);
    what->Unit(benchmark::kMillisecond);
}

void batch_ready(benchmark::State& state) {
    run(state, run_batch, ready);
}
BENCHMARK(batch_ready)->Apply(limits);

void batch_yielding(benchmark::State& state) {
    run(state, run_batch, yielding);
}
BENCHMARK(batch_yielding)->Apply(limits);

void batch_each_ready(benchmark::State& state) {
    run(state, run_batch_each, ready);
}
BENCHMARK(batch_each_ready)->Apply(limits);

void gather_ready(benchmark::State& state) {
    run(state, run_gather, ready);
}
BENCHMARK(gather_ready)->Apply(limits);

void loop(benchmark::State& state) {
    run(state, run_loop, ready);
}
BENCHMARK(loop)
    ->ArgNames({"workers", "limit"})
    ->Args({1, 1})
    ->Apply(bench::whole_process)
    ->Unit(benchmark::kMillisecond);

}  // namespace
