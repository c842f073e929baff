// How long does it take a foreign thread to have a function run in the runtime (there_p50_us), and to be woken by it
// (p50_us): when the workers have just had work (idle), when they have been asleep for a while (parked), when they have
// other tasks to run (busy)? What does a runtime cost that has nothing to do (doing_nothing), or only one task that
// computes (one_busy)?
// Yardstick: the same hand-over to a thread that waits at an atomic (thread).

#include "support/counters.hpp"
#include "support/process.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task.hpp>
#include <magpie/runtime/this_task.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {

using namespace magpie;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

// --- there and back ---

double microseconds(clock_type::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
}

// Calls exchange() again and again, with a pause in between that does not count. It gives the time at which it was
// half-way.
template <class Exchange>
void measure(benchmark::State& state, duration pause, Exchange exchange) {
    std::vector<double> there;
    std::vector<double> there_and_back;
    for (auto _ : state) {
        if (pause != duration::zero()) {
            std::this_thread::sleep_for(pause);
        }
        auto const begun = clock_type::now();
        clock_type::time_point const half_way = exchange();
        auto const took = clock_type::now() - begun;
        state.SetIterationTime(std::chrono::duration<double>(took).count());
        there.push_back(microseconds(half_way - begun));
        there_and_back.push_back(microseconds(took));
    }
    bench::count_latencies(state, there_and_back);
    bench::count_latencies(state, there, "there_");
}

void post_and_wait(benchmark::State& state, runtime& rt, duration pause) {
    std::atomic<bool> ran = false;
    measure(state, pause, [&] {
        clock_type::time_point when;
        ran.store(false);
        rt.post([&] {
            when = clock_type::now();
            ran.store(true);
            ran.notify_one();
        });
        ran.wait(false);
        return when;
    });
}

void there_and_back(benchmark::internal::Benchmark* what) {
    what->Iterations(5000)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

void idle(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    post_and_wait(state, rt, 0us);
}
BENCHMARK(idle)->ArgName("workers")->Arg(1)->Arg(2)->Apply(there_and_back);

// 200 us: longer than workers look for work before they sleep.
void parked(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    post_and_wait(state, rt, 200us);
}
BENCHMARK(parked)->ArgName("workers")->Arg(1)->Arg(2)->Apply(there_and_back);

task<> yield_until_cancelled() {
    for (;;) {
        co_await this_task::yield();
    }
}

// The way back is the kernel's: it may let the thread wait until a worker's time slice is over.
void busy(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (unsigned i = 0; i < 2 * rt.workers(); ++i) {
        rt.spawn(yield_until_cancelled()).detach();
    }
    post_and_wait(state, rt, 200us);
}
BENCHMARK(busy)->ArgName("workers")->Arg(1)->Arg(2)->Iterations(200)->UseManualTime()->Unit(benchmark::kMicrosecond);

void thread(benchmark::State& state) {
    enum turn : int { ours, theirs, over };
    std::atomic<turn> whose = ours;
    clock_type::time_point when;
    std::jthread const other([&] {
        for (;;) {
            whose.wait(ours);
            if (whose.load() == over) {
                return;
            }
            when = clock_type::now();
            whose.store(ours);
            whose.notify_one();
        }
    });
    measure(state, std::chrono::microseconds(state.range(0)), [&] {
        whose.store(theirs);
        whose.notify_one();
        whose.wait(theirs);
        return when;
    });
    whose.store(over);
    whose.notify_one();
}
BENCHMARK(thread)->ArgName("pause_us")->Arg(0)->Arg(200)->Apply(there_and_back);

// --- the price of being there ---

task<> nothing() {
    co_return;
}

// Two seconds of real time in which the CPU time of the whole process is counted.
template <class F>
void measure_cpu(benchmark::State& state, F in_between) {
    runtime rt(bench::with_workers(2));
    rt.block_on(nothing());
    double cpu = 0;
    for (auto _ : state) {
        double const before = bench::cpu_seconds();
        in_between(rt);
        cpu += bench::cpu_seconds() - before;
    }
    state.counters["cpu_s"] = cpu / static_cast<double>(state.iterations());
}

void doing_nothing(benchmark::State& state) {
    measure_cpu(state, [](runtime&) { std::this_thread::sleep_for(2s); });
}
BENCHMARK(doing_nothing)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

task<> compute(duration how_long) {
    for (auto const end = clock_type::now() + how_long; clock_type::now() < end;) {
        benchmark::ClobberMemory();
    }
    co_return;
}

void one_busy(benchmark::State& state) {
    measure_cpu(state, [](runtime& rt) { rt.block_on(compute(2s)); });
}
BENCHMARK(one_busy)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
