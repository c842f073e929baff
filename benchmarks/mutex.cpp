// What does it cost 100 tasks to take turns at one mutex?
// Yardstick: as many turns of as many threads as there are workers at a std::mutex (threads).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/runtime/runtime.hpp>

#include <benchmark/benchmark.h>

#include <mutex>
#include <ranges>
#include <thread>
#include <vector>

namespace {

constexpr long tasks = 100;
constexpr long turns = 1'000'000;

magpie::task<> take_turns(magpie::mutex& guarding, long& guarded) {
    for (long i = 0; i < turns / tasks; ++i) {
        auto const guard = co_await guarding.lock();
        ++guarded;
    }
}

magpie::task<> all_take_turns(magpie::mutex& guarding, long& guarded) {
    auto const start = [&](long) { return take_turns(guarding, guarded); };
    co_await magpie::gather(std::views::iota(0L, tasks) | std::views::transform(start));
}

void mutex_100_tasks(benchmark::State& state) {
    magpie::runtime rt(magpie::bench::with_workers(state));
    magpie::mutex guarding;
    long guarded = 0;
    magpie::bench::measure_runs(state, rt, [&] { return all_take_turns(guarding, guarded); });
    if (guarded != (state.iterations() + 1) * turns) {
        state.SkipWithError("lost an increment");
    }
    magpie::bench::count(state, "turn", turns);
}
BENCHMARK(mutex_100_tasks)->Apply(magpie::bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void threads(benchmark::State& state) {
    std::mutex guarding;
    long guarded = 0;
    for (auto _ : state) {
        std::vector<std::jthread> all;
        for (long i = 0; i < state.range(0); ++i) {
            all.emplace_back([&] {
                for (long turn = 0; turn < turns / state.range(0); ++turn) {
                    std::lock_guard const guard(guarding);
                    benchmark::DoNotOptimize(++guarded);
                }
            });
        }
    }
    magpie::bench::count(state, "turn", turns);
}
BENCHMARK(threads)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Apply(magpie::bench::whole_process)
    ->Unit(benchmark::kMillisecond);

}  // namespace
