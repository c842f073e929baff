// What does it cost 100 tasks to pass a semaphore that lets four in at a time?
// Yardstick: as many passages of as many threads as there are workers at a std::counting_semaphore (threads).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/runtime.hpp>

#include <benchmark/benchmark.h>

#include <ranges>
#include <semaphore>
#include <thread>
#include <vector>

namespace {

constexpr long tasks = 100;
constexpr long passages = 1'000'000;
constexpr std::ptrdiff_t at_a_time = 4;

magpie::task<> pass(magpie::semaphore& gate) {
    for (long i = 0; i < passages / tasks; ++i) {
        auto const permit = co_await gate.acquire();
    }
}

magpie::task<> all_pass(magpie::semaphore& gate) {
    co_await magpie::gather(std::views::iota(0L, tasks) | std::views::transform([&](long) { return pass(gate); }));
}

void semaphore_100_tasks(benchmark::State& state) {
    magpie::runtime rt(magpie::bench::with_workers(state));
    magpie::semaphore gate(at_a_time);
    magpie::bench::measure_runs(state, rt, [&] { return all_pass(gate); });
    magpie::bench::count(state, "passage", passages);
}
BENCHMARK(semaphore_100_tasks)->Apply(magpie::bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void threads(benchmark::State& state) {
    std::counting_semaphore<at_a_time> gate(at_a_time);
    for (auto _ : state) {
        std::vector<std::jthread> all;
        for (long i = 0; i < state.range(0); ++i) {
            all.emplace_back([&] {
                for (long passage = 0; passage < passages / state.range(0); ++passage) {
                    gate.acquire();
                    gate.release();
                }
            });
        }
    }
    magpie::bench::count(state, "passage", passages);
}
BENCHMARK(threads)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Apply(magpie::bench::whole_process)
    ->Unit(benchmark::kMillisecond);

}  // namespace
