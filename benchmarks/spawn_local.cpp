// What does it cost to spawn a task from a task and to join it through its handle?
// Yardsticks: a bare call through a coroutine frame (await_inline), and a thread that is made and joined (thread).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <thread>
#include <vector>

namespace {

using namespace magpie;

task<> nothing() {
    co_return;
}

task<> spawn_all_then_join(long count) {
    std::vector<join_handle<void>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        handles.push_back(spawn(nothing()));
    }
    for (auto& each : handles) {
        co_await each;
    }
}

task<> await_each(long count) {
    for (long i = 0; i < count; ++i) {
        co_await nothing();
    }
}

void spawn_and_join(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on(spawn_all_then_join(state.range(1)));
    }
    bench::count(state, "task", static_cast<double>(state.range(1)));
}
BENCHMARK(spawn_and_join)
    ->ArgNames({"workers", "tasks"})
    ->ArgsProduct({{1, 2}, {1000, 100'000}})
    ->Apply(bench::whole_process);

void await_inline(benchmark::State& state) {
    runtime rt(bench::with_workers(1));
    for (auto _ : state) {
        rt.block_on(await_each(state.range(0)));
    }
    bench::count(state, "task", static_cast<double>(state.range(0)));
}
BENCHMARK(await_inline)->ArgName("tasks")->Arg(100'000)->Apply(bench::whole_process);

void thread(benchmark::State& state) {
    for (auto _ : state) {
        std::thread([] {}).join();
    }
    bench::count(state, "thread", 1);
}
BENCHMARK(thread)->Apply(bench::whole_process);

}  // namespace
