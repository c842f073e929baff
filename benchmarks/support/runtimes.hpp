#pragma once

#include <magpie/runtime/runtime.hpp>

#include <benchmark/benchmark.h>

namespace magpie::bench {

// A runtime with so many workers, everything else as a user gets it.
inline config with_workers(unsigned count) {
    config settings;
    settings.workers = count;
    return settings;
}

// The same; the number is the benchmark's first argument.
inline config with_workers(benchmark::State const& state) {
    return with_workers(static_cast<unsigned>(state.range(0)));
}

// Runs what make() gives, once as a rehearsal, so that memory which the system has to hand out first does not count,
// and then again and again. An error if it ever gives another value than `expected`.
template <class Make, class T>
void measure_runs(benchmark::State& state, runtime& rt, Make make, T const& expected) {
    bool right = rt.block_on(make()) == expected;
    for (auto _ : state) {
        right = rt.block_on(make()) == expected && right;
    }
    if (!right) {
        state.SkipWithError("wrong result");
    }
}

// The same for what has no value.
template <class Make>
void measure_runs(benchmark::State& state, runtime& rt, Make make) {
    rt.block_on(make());
    for (auto _ : state) {
        rt.block_on(make());
    }
}

// Measures real time, and the CPU time of all threads of the process.
inline void whole_process(benchmark::internal::Benchmark* what) {
    what->MeasureProcessCPUTime()->UseRealTime();
}

// The same, once with 1 and once with 2 workers: the first argument.
inline void one_and_two_workers(benchmark::internal::Benchmark* what) {
    what->ArgName("workers")->Arg(1)->Arg(2)->Apply(whole_process);
}

}  // namespace magpie::bench
