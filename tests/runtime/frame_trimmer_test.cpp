#include <magpie/combinators/event.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/frame_trimmer.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <fstream>
#include <vector>

#include <runtime/support/kit.hpp>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::detail;
using namespace magpie::tests;
using namespace std::chrono_literals;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr time_point start{1h};
constexpr time_point never = time_point::max();

TEST_CASE("frame_trimmer: nothing was freed, or not enough to be worth it") {
    frame_trimmer trimmer({.ever = 100 * mib, .in_depot = 0});
    CHECK(trimmer.due(start, {.ever = 100 * mib, .in_depot = 0}) == never);
    CHECK(trimmer.due(start, {.ever = 104 * mib, .in_depot = 3 * mib, .moved = 7 * mib}) == never);
    CHECK(trimmer.due(start, {.ever = 104 * mib, .in_depot = 4 * mib, .moved = 8 * mib}) == start + 1s);
    CHECK(trimmer.due(start + 5s, {.ever = 104 * mib, .in_depot = 0, .moved = 8 * mib}) == never);
}

TEST_CASE("frame_trimmer: a second after the last that was freed, once") {
    frame_trimmer trimmer({});
    CHECK(trimmer.due(start, {.ever = 50 * mib, .moved = 50 * mib}) == start + 1s);
    CHECK(trimmer.due(start + 900ms, {.ever = 90 * mib, .moved = 90 * mib}) == start + 1900ms);
    CHECK(trimmer.due(start + 1800ms, {.ever = 90 * mib, .moved = 90 * mib}) == start + 1900ms);
    frame_cache::freed const trickle{.ever = 90 * mib + 100, .moved = 90 * mib + 100};
    CHECK(trimmer.due(start + 1900ms, trickle) == start + 1900ms);  // is quiet
    trimmer.trimmed(start + 1900ms, trickle);
    CHECK(trimmer.due(start + 2s, trickle) == never);
    CHECK(trimmer.due(start + 3s, {.ever = 99 * mib, .moved = 99 * mib}) == start + 4s);
}

TEST_CASE("frame_trimmer: what is given back meanwhile, as unused, does not count as the burst's") {
    frame_trimmer trimmer({});
    CHECK(trimmer.due(start, {.in_depot = 900 * mib, .moved = 900 * mib}) == start + 1s);
    CHECK(trimmer.due(start + 500ms, {.ever = 300 * mib, .in_depot = 600 * mib, .moved = 900 * mib}) == start + 1s);
    CHECK(trimmer.due(start + 900ms, {.ever = 900 * mib, .in_depot = 0, .moved = 900 * mib}) == start + 1s);
}

TEST_CASE("frame_trimmer: what only lies in the depot is given back, too") {
    frame_trimmer trimmer({});
    CHECK(trimmer.due(start, {.ever = 0, .in_depot = 16 * mib}) <= start);  // nothing was freed for long
    trimmer.trimmed(start, {});
    CHECK(trimmer.due(start, {.ever = 0, .in_depot = 16 * mib}) == start + 1s);
    CHECK(trimmer.due(start, {}) == never);
}

TEST_CASE("frame_trimmer: when there is no thread to do it, it is due again a second later") {
    frame_trimmer trimmer({});
    frame_cache::freed const seen{.ever = 900 * mib, .moved = 900 * mib};
    CHECK(trimmer.due(start, seen) == start + 1s);
    trimmer.put_off(start + 1s);
    CHECK(trimmer.due(start + 1s, seen) == start + 2s);
    CHECK(trimmer.due(start + 2s, seen) == start + 2s);
    trimmer.trimmed(start + 2s, seen);
    CHECK(trimmer.due(start + 9s, seen) == never);
}

TEST_CASE("frame_trimmer: bursts that follow each other, and pass through the depot, are not quiet") {
    frame_trimmer trimmer({});
    std::size_t moved = 0;
    for (int i = 0; i < 20; ++i) {
        bool const over = i % 2 != 0;
        moved += 100 * mib;
        time_point const now = start + i * 400ms;
        CHECK(trimmer.due(now, {.in_depot = over ? 100 * mib : 0, .moved = moved}) == (over ? now + 1s : never));
    }
}

TEST_CASE("frame_trimmer: once a second it is time to look for what the depot does not need") {
    frame_trimmer trimmer({});
    CHECK(!trimmer.unused_due(start, {.in_depot = 7 * mib}));  // too little to be worth it
    CHECK(!trimmer.unused_due(start + 900ms, {.in_depot = 100 * mib}));
    CHECK(trimmer.unused_due(start + 1s, {.in_depot = 100 * mib}));
    CHECK(!trimmer.unused_due(start + 1900ms, {.in_depot = 100 * mib}));
    CHECK(trimmer.unused_due(start + 2s, {.in_depot = 100 * mib}));
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

task<> waits(event& all_are_there) {
    co_await all_are_there.wait();
}

// What was resident when all of them were alive.
task<std::size_t> burst(unsigned count) {
    event all_are_there;
    std::vector<join_handle<void>> handles;
    handles.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
        handles.push_back(spawn(waits(all_are_there)));
    }
    std::size_t const live = resident_bytes();
    all_are_there.set();
    for (auto& each : handles) {
        co_await each;
    }
    co_return live;
}

TEST_CASE("frame_trimmer: the memory of a burst goes back to the system while the runtime is idle") {
    runtime rt(threads(2));
    unsigned const count = rounds(200'000);
    std::size_t const live = rt.block_on(burst(count));
    if (sanitized) {
        return;  // their allocators keep what they like
    }
    until([&] { return resident_bytes() + count * std::size_t{200} < live; });  // a task has nearly twice that
    CHECK(rt.block_on(burst(1000)) > 0);                                        // and all goes on
}

// The task gives way again and again, so its worker never sleeps, and not all that is free may go.
task<> burst_and_stay_busy(unsigned count, bool& expires) {
    auto const before = frame_cache::look().ever;
    (void)co_await burst(count);
    frame_cache::freed const after = frame_cache::look();
    CHECK(after.in_depot + (after.ever - before) >= frame_trimmer::worth_it);  // it may have begun
    auto const limit = std::chrono::steady_clock::now() + 1min;
    while (frame_cache::look().in_depot > mib && !expires) {
        co_await this_task::yield();
        expires = std::chrono::steady_clock::now() > limit;
    }
    // To the allocator, as what nobody needs: but for what is left, and for batches that workers have taken for their own.
    CHECK(frame_cache::look().ever - after.ever + 2 * mib >= after.in_depot);
}

TEST_CASE("frame_trimmer: what a burst left unused goes back to the allocator while workers are busy") {
#if defined(MAGPIE_TESTS_ASAN)
    return;  // frames come from the allocator there, and go straight back
#endif
    runtime rt(threads(2));
    bool expired = false;
    rt.block_on(burst_and_stay_busy(sanitized ? 50'000 : 200'000, expired));
    CHECK_FALSE(expired);
}

}  // namespace
