// Random trees of tasks under random cancellations, time-outs and resizings, on a random number of workers, until the
// time is up: nothing hangs, no permit is lost, and every task ends.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>

#include <support/soak.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

// splitmix64: each task derives its own choices from one number, so that a tree depends on the seed alone.
std::uint64_t mixed(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

task<int> tree(std::uint64_t seed, int depth, semaphore& permits);

task<> hold_a_permit(std::uint64_t seed, semaphore& permits) {
    auto const held = co_await permits.acquire(static_cast<int>(1 + seed % 2));
    if (seed % 3 == 0) {
        co_await this_task::yield();
    } else {
        co_await sleep(std::chrono::microseconds(seed % 50));
    }
}

task<int> gathered(std::uint64_t seed, int depth, semaphore& permits) {
    std::vector<task<int>> children;
    for (std::uint64_t i = 0; i < 1 + seed % 5; ++i) {
        children.push_back(tree(mixed(seed + i), depth - 1, permits));
    }
    auto const values = co_await gather(std::move(children));
    int sum = 0;
    for (int const each : values) {
        sum += each;
    }
    co_return sum;
}

task<int> timed(std::uint64_t seed, int depth, semaphore& permits) {
    try {
        co_return co_await timeout(std::chrono::microseconds(seed % 300), tree(mixed(seed), depth - 1, permits));
    } catch (timeout_error const&) {
    }
    co_return 0;
}

task<int> spawned_and_cancelled(std::uint64_t seed, int depth, semaphore& permits) {
    auto child = spawn(tree(mixed(seed), depth - 1, permits));
    if (seed % 2 == 0) {
        co_await this_task::yield();
    }
    child.cancel();
    try {
        co_return co_await std::move(child);
    } catch (child_cancelled const&) {
    }
    co_return 0;
}

task<int> tree(std::uint64_t seed, int depth, semaphore& permits) {
    co_await hold_a_permit(seed >> 8, permits);
    if (depth == 0) {
        co_return 1;
    }
    switch (seed % 4) {
    case 0: co_return co_await gathered(seed >> 2, depth, permits);
    case 1: co_return co_await timed(seed >> 2, depth, permits);
    case 2: co_return co_await spawned_and_cancelled(seed >> 2, depth, permits);
    default: co_return co_await tree(mixed(seed), depth - 1, permits);
    }
}

void one_round(std::uint64_t seed) {
    config settings;
    settings.workers = static_cast<unsigned>(1 + seed % 8);
    runtime rt(settings);
    semaphore permits(3);
    std::vector<join_handle<int>> roots;
    for (std::uint64_t i = 0; i < 20; ++i) {
        roots.push_back(rt.spawn(tree(mixed(seed + i), 5, permits)));
    }
    for (std::size_t i = 0; i < roots.size(); i += 3) {
        permits.resize(static_cast<int>(2 + mixed(seed + i) % 4));
        roots[i].cancel();
    }
    for (auto const& each : roots) {
        each.blocking_wait();
    }
    CHECK(rt.shutdown(1min));  // detached ones, too: a handle is dropped when its owner is cancelled before it awaits
    CHECK(permits.waiting() == 0);
    CHECK(permits.available() == permits.limit());
}

TEST_CASE("random trees under random cancellations end, and lose no permit") {
    std::uint64_t const seed = tests::soak_seed();
    auto const end = std::chrono::steady_clock::now() + tests::soak_time();
    for (std::uint64_t round = 0; std::chrono::steady_clock::now() < end; ++round) {
        one_round(mixed(seed + round));
    }
}

} // namespace
