// Divide and conquer: each half of a range is a task of its own, down to a grain that is worth one.

#include <magpie/magpie.hpp>

#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

using namespace magpie;

constexpr std::size_t grain = 4096;

// A forked child that nobody steals costs about as much as a function call with an allocation, so the code forks at
// every level and leaves the question of who runs what to the workers.
task<std::uint64_t> sum(std::span<std::uint32_t const> numbers) {
    if (numbers.size() <= grain) {
        co_return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
    }
    auto const half = numbers.size() / 2;
    auto [left, right] = co_await gather(sum(numbers.first(half)), sum(numbers.subspan(half)));
    co_return left + right;
}

int main() {
    std::vector<std::uint32_t> numbers(8'000'000);
    std::iota(numbers.begin(), numbers.end(), 0U);

    runtime rt;
    std::uint64_t const total = rt.block_on(sum(numbers));

    metrics const m = rt.snapshot();
    for (std::size_t i = 0; i < m.workers.size(); ++i) {
        auto const& w = m.workers[i];
        std::printf("worker %zu: %llu turns, %llu steals that brought %llu tasks\n", i,
                    static_cast<unsigned long long>(w.tasks_resumed), static_cast<unsigned long long>(w.steals_won),
                    static_cast<unsigned long long>(w.tasks_stolen));
    }
    std::uint64_t const n = numbers.size();
    std::printf("sum %llu\n", static_cast<unsigned long long>(total));
    return total == n * (n - 1) / 2 ? 0 : 1;
}
