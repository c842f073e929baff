// What does it cost to bring an item from one task to another through a bounded queue?
// Yardstick: a std::deque between two threads, with a std::mutex and two condition variables (threads).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/runtime/runtime.hpp>

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <ranges>
#include <thread>

namespace {

constexpr long items = 10'000'000;
constexpr std::size_t capacity = 1024;

magpie::task<> produce(magpie::queue<int>& to, long count) {
    for (long i = 0; i < count; ++i) {
        co_await to.put(1);
    }
}

magpie::task<long> consume(magpie::queue<int>& from, long count) {
    long sum = 0;
    for (long i = 0; i < count; ++i) {
        sum += co_await from.get();
    }
    co_return sum;
}

// So many producers, and as many consumers.
magpie::task<long> pass_all(long pairs) {
    magpie::queue<int> between(capacity);
    auto const producer = [&, pairs](long) { return produce(between, items / pairs); };
    auto const consumer = [&, pairs](long) { return consume(between, items / pairs); };
    auto const pair = std::views::iota(0L, pairs);
    auto const [none, sums] = co_await magpie::gather(magpie::gather(pair | std::views::transform(producer)),
                                                      magpie::gather(pair | std::views::transform(consumer)));
    long sum = 0;
    for (long const each : sums) {
        sum += each;
    }
    co_return sum;
}

void queue_10m(benchmark::State& state) {
    magpie::runtime rt(magpie::bench::with_workers(state));
    magpie::bench::measure_runs(state, rt, [&] { return pass_all(state.range(1)); }, items);
    magpie::bench::count(state, "item", items);
}
BENCHMARK(queue_10m)
    ->ArgNames({"workers", "pairs"})
    ->ArgsProduct({{1, 2}, {1, 4}})
    ->Apply(magpie::bench::whole_process)
    ->Unit(benchmark::kMillisecond);

class locked_queue {
public:
    void put(int item) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return content_.size() < capacity; });
        content_.push_back(item);
        filled_.notify_one();
    }
    int get() {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [&] { return !content_.empty(); });
        int const item = content_.front();
        content_.pop_front();
        room_.notify_one();
        return item;
    }

private:
    std::mutex mutex_;
    std::condition_variable room_;
    std::condition_variable filled_;
    std::deque<int> content_;
};

void threads(benchmark::State& state) {
    constexpr long fewer = items / 10;
    for (auto _ : state) {
        locked_queue between;
        std::jthread const producer([&] {
            for (long i = 0; i < fewer; ++i) {
                between.put(1);
            }
        });
        for (long i = 0; i < fewer; ++i) {
            benchmark::DoNotOptimize(between.get());
        }
    }
    magpie::bench::count(state, "item", fewer);
}
BENCHMARK(threads)->Apply(magpie::bench::whole_process)->Unit(benchmark::kMillisecond);

}  // namespace
