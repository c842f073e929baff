// Does a task cost the same, however many there are at once? Tasks that are ready, and tasks that wait: what one costs
// to be spawned, run and joined while 10^3 … 10^7 of them live (per_task, faults_per_task), and the first time, when
// the process has none of that memory yet (per_task_at_first); what each takes (bytes_per_task, of many), and what the
// process keeps of that when they are gone: at once, and a few seconds later (kept_mb, kept_1s_mb, kept_4s_mb). Each in
// a process of its own; the memory of one that only has a runtime counts as none.

#include "support/process.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/event.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include <sys/resource.h>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

task<> nothing() {
    co_return;
}

task<> wait_for(event& go) {
    co_await go.wait();
}

double page_faults() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return static_cast<double>(used.ru_minflt);
}

// Returns the resident bytes while all live.
task<double> burst(long count, bool ready) {
    event go;
    std::vector<join_handle<void>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        handles.push_back(spawn(ready ? nothing() : wait_for(go)));
    }
    double const live = count >= 100'000 ? bench::resident_bytes() : 0;
    go.set();
    for (auto& each : handles) {
        co_await each;
    }
    co_return live;
}

struct measured {
    double first = 0;  // seconds
    double seconds = 0;
    double cpu = 0;
    double faults = 0;
    double live = 0;  // bytes, while all of them were alive
    double kept = 0;  // bytes, when they were gone
    double kept_1s = 0;
    double kept_4s = 0;
};

// So many bursts of `count`, one after the other, behind one that is a rehearsal.
measured measure(unsigned workers, long count, bool ready) {
    runtime rt(bench::with_workers(workers));
    rt.block_on(nothing());
    measured found;
    double const before = bench::resident_bytes();
    auto const begun = std::chrono::steady_clock::now();
    found.live = rt.block_on(burst(count, ready)) - before;
    long const bursts = std::max(2'000'000 / count, 1L);
    auto const start = std::chrono::steady_clock::now();
    found.first = std::chrono::duration<double>(start - begun).count() / static_cast<double>(count);
    double const cpu = bench::cpu_seconds();
    double const faults = page_faults();
    for (long i = 0; i < bursts; ++i) {
        rt.block_on(burst(count, ready));
    }
    auto const tasks = static_cast<double>(bursts * count);
    found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / tasks;
    found.cpu = (bench::cpu_seconds() - cpu) / tasks;
    found.faults = (page_faults() - faults) / tasks;
    found.kept = bench::resident_bytes() - before;
    std::this_thread::sleep_for(1s);
    found.kept_1s = bench::resident_bytes() - before;
    std::this_thread::sleep_for(3s);
    found.kept_4s = bench::resident_bytes() - before;
    return found;
}

void growth(benchmark::State& state, bool ready) {
    auto const workers = static_cast<unsigned>(state.range(0));
    long const count = state.range(1);
    measured found;
    for (auto _ : state) {
        found = bench::in_child([=] { return measure(workers, count, ready); });
    }
    state.counters["per_task_at_first"] = found.first;
    state.counters["per_task"] = found.seconds;
    state.counters["cpu_per_task"] = found.cpu;
    state.counters["faults_per_task"] = found.faults;
    if (found.live > 0) {
        state.counters["bytes_per_task"] = found.live / static_cast<double>(count);
    }
    state.counters["kept_mb"] = found.kept / 1e6;
    state.counters["kept_1s_mb"] = found.kept_1s / 1e6;
    state.counters["kept_4s_mb"] = found.kept_4s / 1e6;
}

void sizes(benchmark::internal::Benchmark* what) {
    what->ArgNames({"workers", "tasks"})
        ->ArgsProduct({{1, 2}, {1000, 10'000, 100'000, 1'000'000, 10'000'000}})
        ->Iterations(1)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(growth, ready, true)->Apply(sizes);
BENCHMARK_CAPTURE(growth, waiting, false)->Apply(sizes);

}  // namespace
