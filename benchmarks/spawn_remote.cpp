// What does it cost a foreign thread to bring a task into the runtime and to wait for it: while the workers sleep
// (idle), and while they are busy with yielding tasks (busy)?
// Yardstick: the same hand-over to a thread that waits on a condition variable (condition_variable).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace {

using namespace magpie;

task<> nothing() {
    co_return;
}

task<> yield_until_cancelled() {
    for (;;) {
        co_await this_task::yield();
    }
}

void spawn_remote_idle(benchmark::State& state) {
    runtime rt(bench::with_workers(state));
    for (auto _ : state) {
        rt.block_on(nothing());
    }
    bench::count(state, "task", 1);
}
BENCHMARK(spawn_remote_idle)->ArgName("workers")->Arg(1)->Arg(2)->Apply(bench::whole_process);

void spawn_remote_busy(benchmark::State& state) {
    auto const workers = static_cast<unsigned>(state.range(0));
    runtime rt(bench::with_workers(workers));
    for (unsigned i = 0; i < 2 * workers; ++i) {
        rt.spawn(yield_until_cancelled()).detach();
    }
    for (auto _ : state) {
        rt.block_on(nothing());
    }
    bench::count(state, "task", 1);
}
BENCHMARK(spawn_remote_busy)->ArgName("workers")->Arg(1)->Arg(2)->Apply(bench::whole_process);

void condition_variable(benchmark::State& state) {
    std::mutex mutex;
    std::condition_variable changed;
    int turn = 0;  // 0: ours, 1: the other thread's, 2: over
    std::thread other([&] {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [&] { return turn != 0; });
            if (turn == 2) {
                return;
            }
            turn = 0;
            changed.notify_one();
        }
    });
    for (auto _ : state) {
        std::unique_lock lock(mutex);
        turn = 1;
        changed.notify_one();
        changed.wait(lock, [&] { return turn == 0; });
    }
    {
        std::lock_guard const lock(mutex);
        turn = 2;
        changed.notify_one();
    }
    other.join();
    bench::count(state, "hand_over", 1);
}
BENCHMARK(condition_variable)->Apply(bench::whole_process);

}  // namespace
