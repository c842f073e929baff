// What does it cost a task to go to the back of the queue and to come back?
// Yardsticks: a co_await that does not suspend (ready), and sched_yield() (thread).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>

#include <benchmark/benchmark.h>

#include <vector>

#include <sched.h>

namespace {

using namespace magpie;

task<> yield_often(long count) {
    for (long i = 0; i < count; ++i) {
        co_await this_task::yield();
    }
}

task<> yield_in(long tasks, long count) {
    std::vector<join_handle<void>> handles;
    for (long i = 0; i < tasks; ++i) {
        handles.push_back(spawn(yield_often(count / tasks)));
    }
    for (auto& each : handles) {
        co_await each;
    }
}

task<> ready_often(long count) {
    for (long i = 0; i < count; ++i) {
        co_await this_task::checkpoint();
    }
}

constexpr long yields = 1'000'000;

void yielding(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on(yield_in(state.range(1), yields));
    }
    bench::count(state, "yield", yields);
}
BENCHMARK(yielding)->ArgNames({"workers", "tasks"})->ArgsProduct({{1, 2}, {1, 2, 100}})->Apply(bench::whole_process);

void ready(benchmark::State& state) {
    runtime rt(bench::with_workers(1));
    for (auto _ : state) {
        rt.block_on(ready_often(yields));
    }
    bench::count(state, "await", yields);
}
BENCHMARK(ready)->Apply(bench::whole_process);

void thread(benchmark::State& state) {
    for (auto _ : state) {
        sched_yield();
    }
    bench::count(state, "call", 1);
}
BENCHMARK(thread)->Apply(bench::whole_process);

}  // namespace
