// What do a fork and its join cost: two at a time (fib), ten (skynet), as many as fit (queens), all at once (flat)?
// Yardsticks: the same recursion by plain calls (fib_function), and by coroutines that await each other (fib_inline).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <numeric>
#include <ranges>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace magpie;

// --- fib: the smallest task there is ---

constexpr int fib_of = 34;
constexpr double fib_tasks = 18'454'929;  // calls of fib() that fib(34) makes, itself included

task<long> fib(int n) {
    if (n < 2) {
        co_return n;
    }
    auto const [a, b] = co_await gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

task<long> fib_by_await(int n) {
    if (n < 2) {
        co_return n;
    }
    long const a = co_await fib_by_await(n - 1);
    long const b = co_await fib_by_await(n - 2);
    co_return a + b;
}

[[gnu::noinline]] long fib_by_call(int n) {
    if (n < 2) {
        return n;
    }
    long const a = fib_by_call(n - 1);
    benchmark::ClobberMemory();
    return a + fib_by_call(n - 2);
}

// --- skynet: a tree of ten branches, whose leaves are numbered and summed up ---

constexpr long skynet_leaves = 10'000'000;
constexpr double skynet_tasks = 11'111'111;

task<long> skynet(long first, long leaves);

template <std::size_t... I>
auto ten_branches(long first, long leaves, std::index_sequence<I...>) {
    return gather(skynet(first + static_cast<long>(I) * leaves, leaves)...);
}

task<long> skynet(long first, long leaves) {
    if (leaves == 1) {
        co_return first;
    }
    auto const sums = co_await ten_branches(first, leaves / 10, std::make_index_sequence<10>());
    co_return std::apply([](auto... each) { return (each + ...); }, sums);
}

task<long> skynet_by_range(long first, long leaves) {
    if (leaves == 1) {
        co_return first;
    }
    auto const branch = [first, part = leaves / 10](long i) { return skynet_by_range(first + i * part, part); };
    auto const sums = co_await gather(std::views::iota(0L, 10L) | std::views::transform(branch));
    co_return std::accumulate(sums.begin(), sums.end(), 0L);
}

// --- queens: a task for each square of the next column that no queen attacks ---

constexpr int board = 12;
constexpr long solutions = 14'200;
constexpr double queens_tasks = 856'189;  // placements without an attack, the empty board included
using rows = std::array<signed char, board>;

bool safe(rows const& placed, int columns, int row) {
    for (int column = 0; column < columns; ++column) {
        int const other = placed[static_cast<std::size_t>(column)];
        int const distance = columns - column;
        if (other == row || other == row - distance || other == row + distance) {
            return false;
        }
    }
    return true;
}

task<long> queens(rows placed, int columns) {
    if (columns == board) {
        co_return 1;
    }
    auto const fits = [&placed, columns](int row) { return safe(placed, columns, row); };
    auto const place = [&placed, columns](int row) {
        placed[static_cast<std::size_t>(columns)] = static_cast<signed char>(row);
        return queens(placed, columns + 1);
    };
    auto const found =
        co_await gather(std::views::iota(0, board) | std::views::filter(fits) | std::views::transform(place));
    co_return std::accumulate(found.begin(), found.end(), 0L);
}

// --- flat: one parent, a million children that do nothing ---

constexpr long flat_tasks = 1'000'000;

task<> nothing() {
    co_return;
}

task<> flat(long count) {
    co_await gather(std::views::iota(0L, count) | std::views::transform([](long) { return nothing(); }));
}

// --- the benchmarks ---

template <class Make>
void run_to(benchmark::State& state, Make make, long expected, double tasks) {
    runtime rt(bench::with_workers(state));
    bench::measure_runs(state, rt, make, expected);
    bench::count(state, "task", tasks);
}

constexpr long fib_value = 5'702'887;
constexpr long skynet_value = skynet_leaves * (skynet_leaves - 1) / 2;

void fib_gather(benchmark::State& state) {
    run_to(state, [] { return fib(fib_of); }, fib_value, fib_tasks);
}
BENCHMARK(fib_gather)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void fib_inline(benchmark::State& state) {
    run_to(state, [] { return fib_by_await(fib_of); }, fib_value, fib_tasks);
}
BENCHMARK(fib_inline)->ArgName("workers")->Arg(1)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void fib_function(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(fib_by_call(fib_of));
    }
    bench::count(state, "task", fib_tasks);
}
BENCHMARK(fib_function)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void skynet_pack(benchmark::State& state) {
    run_to(state, [] { return skynet(0, skynet_leaves); }, skynet_value, skynet_tasks);
}
BENCHMARK(skynet_pack)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void skynet_range(benchmark::State& state) {
    run_to(state, [] { return skynet_by_range(0, skynet_leaves); }, skynet_value, skynet_tasks);
}
BENCHMARK(skynet_range)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void queens_12(benchmark::State& state) {
    run_to(state, [] { return queens({}, 0); }, solutions, queens_tasks);
}
BENCHMARK(queens_12)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

void flat_1m(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    bench::measure_runs(state, rt, [] { return flat(flat_tasks); });
    bench::count(state, "task", flat_tasks);
}
BENCHMARK(flat_1m)->Apply(bench::one_and_two_workers)->Unit(benchmark::kMillisecond);

}  // namespace
