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

// Measures real time, and the CPU time of all threads of the process.
inline void whole_process(benchmark::internal::Benchmark* what) {
    what->MeasureProcessCPUTime()->UseRealTime();
}

// The same, once with 1 and once with 2 workers: the first argument.
inline void one_and_two_workers(benchmark::internal::Benchmark* what) {
    what->ArgName("workers")->Arg(1)->Arg(2)->Apply(whole_process);
}

} // namespace magpie::bench
