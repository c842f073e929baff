// What does a cancellation cost for each task that ends by it, through one frame or many (by_cancel)? What does a
// timeout cost an operation that does not need it: one that is ready (timeout_ready), one that waits (timeout_waiting),
// a million that wait at once (timers_10m)?
// Yardsticks: the same tasks ending because what they wait for has come (by_event), the operations without a timeout.

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/event.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <ranges>
#include <thread>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

constexpr long waiting_tasks = 100'000;
constexpr long operations = 1'000'000;

// --- how tasks end ---

// Waits `frames` awaits deep.
task<> wait_deep(event& gate, std::atomic<long>& begun, long frames) {
    if (frames > 1) {
        co_await wait_deep(gate, begun, frames - 1);
    } else {
        begun.fetch_add(1, std::memory_order_relaxed);
        co_await gate.wait();
    }
}

task<> gather_waiting(event& gate, std::atomic<long>& begun, long frames) {
    auto const start = [&, frames](long) { return wait_deep(gate, begun, frames); };
    co_await gather(std::views::iota(0L, waiting_tasks) | std::views::transform(start));
}

// Only from the call of end(tasks, gate) until all have ended.
template <class End>
void end_waiting(benchmark::State& state, End end) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        event gate;
        std::atomic<long> begun = 0;
        auto const all = rt.spawn(gather_waiting(gate, begun, state.range(1)));
        while (begun.load(std::memory_order_relaxed) != waiting_tasks) {
            std::this_thread::sleep_for(1ms);
        }
        std::this_thread::sleep_for(1ms);  // the last one has begun, and now waits too
        auto const before = std::chrono::steady_clock::now();
        end(all, gate);
        all.blocking_wait();
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
    }
    bench::count(state, "task", waiting_tasks);
}

void ends(benchmark::internal::Benchmark* what) {
    what->ArgNames({"workers", "frames"})
        ->ArgsProduct({{1, 2}, {1, 8}})
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
}

void by_cancel(benchmark::State& state) {
    end_waiting(state, [](auto const& all, event&) { all.cancel(); });
}
BENCHMARK(by_cancel)->Apply(ends);

void by_event(benchmark::State& state) {
    end_waiting(state, [](auto const&, event& gate) { gate.set(); });
}
BENCHMARK(by_event)->Apply(ends);

// --- a timeout around each operation ---

task<> nothing() {
    co_return;
}

task<> await_ready_ones() {
    for (long i = 0; i < operations; ++i) {
        co_await nothing();
    }
}

task<> await_ready_ones_in_time() {
    for (long i = 0; i < operations; ++i) {
        co_await timeout(1h, nothing());
    }
}

task<> await_yields() {
    for (long i = 0; i < operations; ++i) {
        co_await this_task::yield();
    }
}

task<> await_yields_in_time() {
    for (long i = 0; i < operations; ++i) {
        co_await timeout(1h, this_task::yield());
    }
}

void run_operations(benchmark::State& state, task<> (*make)()) {
    runtime rt(bench::with_workers(1));
    bench::measure_runs(state, rt, make);
    bench::count(state, "operation", operations);
}

void ready(benchmark::State& state) {
    run_operations(state, await_ready_ones);
}
BENCHMARK(ready)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void timeout_ready(benchmark::State& state) {
    run_operations(state, await_ready_ones_in_time);
}
BENCHMARK(timeout_ready)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void waiting(benchmark::State& state) {
    run_operations(state, await_yields);
}
BENCHMARK(waiting)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void timeout_waiting(benchmark::State& state) {
    run_operations(state, await_yields_in_time);
}
BENCHMARK(timeout_waiting)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

// --- many timers ---

task<> wait_in_time(event& gate, long& begun) {
    ++begun;
    co_await timeout(1h, gate.wait());
}

task<> open_when_all_wait(event& gate, long const& begun, long count) {
    while (begun != count) {
        co_await this_task::yield();
    }
    gate.set();
}

// For one worker.
task<> arm_then_disarm(long count) {
    event gate;
    long begun = 0;
    auto const start = [&](long) { return wait_in_time(gate, begun); };
    co_await gather(gather(std::views::iota(0L, count) | std::views::transform(start)),
                    open_when_all_wait(gate, begun, count));
}

// Ten times a million timers that are all armed, and then taken back.
void timers_10m(benchmark::State& state) {
    constexpr long timers = 1'000'000;
    runtime rt(bench::with_workers(1));
    bench::measure_runs(state, rt, [] { return arm_then_disarm(timers); });
    bench::count(state, "timer", timers);
}
BENCHMARK(timers_10m)->Iterations(10)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

}  // namespace
