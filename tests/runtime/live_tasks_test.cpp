// run alone: it takes five gigabytes
//
// Ten million spawned tasks that are alive at the same time: counts and ids that are too small, lists that are walked once
// for each task, and memory that does not go back, all show here.

#include <magpie/combinators/queue.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/frame_cache.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <runtime/support/many_tasks.hpp>

namespace {

using namespace magpie;
using namespace magpie::detail;
using namespace magpie::tests;
using namespace std::chrono_literals;

std::uint64_t sum_below(std::uint64_t n) {
    return n * (n - 1) / 2;
}

task<std::uint64_t> sleeps(std::uint64_t value) {
    co_await sleep(1h);
    co_return value;
}

task<std::uint64_t> takes(queue<std::uint64_t>& from) {
    co_return co_await from.get();
}

task<> spawns(runtime& rt, std::uint64_t count, std::int64_t& live, kept_memory const& kept) {
    gate at;
    std::vector<join_handle<std::uint64_t>> handles;
    handles.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        handles.push_back(spawn(waits(at, i)));
    }
    co_await when_all_came(at, count);
    CHECK(rt.snapshot().tasks_live == count + 1);
    live = kept.bytes();
    std::uint64_t const last = handles.back().id();
    CHECK(last - handles.front().id() == count - 1);
    at.opened.set();
    std::uint64_t sum = 0;
    for (auto& each : handles) {
        sum += co_await std::move(each);
    }
    CHECK(sum == sum_below(count));
}

TEST_CASE("a million tasks wait at once, on two workers: what they took goes back while the runtime is idle") {
    keep_pages();
    unsigned const count = many(1'000'000);
    kept_memory const kept;
    std::int64_t live = 0;
    runtime rt(threads(2));
    rt.block_on(spawns(rt, count, live, kept));
    until([&] { return rt.snapshot().tasks_live == 0; });
    CHECK(rt.snapshot().tasks_spawned == count + 1);
    if (allocations_are_ours()) {
        CHECK(live > std::int64_t{count} * 300);
        until([&] { return kept.bytes() <= 8 * mib; });  // which is more than two workers keep for themselves
    }
}

// A third of them waits for an event, a third for the time, a third at a queue.
task<> spawns_all_kinds(runtime& rt, std::uint64_t count, std::int64_t& live, kept_memory const& kept) {
    gate at;
    queue<std::uint64_t> values(0);
    std::vector<join_handle<std::uint64_t>> handles;
    handles.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        handles.push_back(spawn(i % 3 == 0 ? waits(at, i) : i % 3 == 1 ? sleeps(i) : takes(values)));
    }
    co_await this_task::yield();  // all are before us
    CHECK(at.came == (count + 2) / 3);
    metrics const now = rt.snapshot();
    CHECK(now.tasks_live == count + 1);
    CHECK(now.totals().timers == (count + 1) / 3);
    CHECK(std::ranges::none_of(handles, &join_handle<std::uint64_t>::done));
    live = kept.bytes();

    auto const began = magpie::now();
    at.opened.set();
    for (std::uint64_t i = 2; i < count; i += 3) {
        values.try_put(i);
    }
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        wrong += co_await std::move(handles[i]) == i ? 0 : 1;  // queues are first come, first served, too
    }
    CHECK(wrong == 0);
    CHECK(magpie::now() - began == 1h);
    CHECK(rt.snapshot().tasks_live == 1);
    CHECK(rt.snapshot().totals().timers == 0);
}

TEST_CASE(
    "ten million tasks wait at once, for an event, the time, and a queue: all go on, and their memory goes back") {
    keep_pages();
    unsigned const count = many(10'000'000);
    kept_memory const kept;
    std::int64_t live = 0;
    {
        runtime rt(simulated());
        rt.block_on(spawns_all_kinds(rt, count, live, kept));
        CHECK(rt.snapshot().tasks_spawned == count + 1);
    }
    if (allocations_are_ours()) {
        CHECK(live > std::int64_t{count} * 300);
        CHECK(kept.bytes() <= 2 * mib);
        CHECK(frame_cache::look().in_depot <= std::size_t{16} << 20);  // nobody trims it
    }
}

}  // namespace
