// What every task, await and join costs in bytes. A number here grows only on purpose: a server holds a million of them.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

#if defined(__GNUC__) && !defined(__clang__)
constexpr std::int64_t larger_frames = 32;  // g++ keeps more in them
#else
constexpr std::int64_t larger_frames = 0;
#endif

static_assert(sizeof(detail::promise_base) == 16);
static_assert(sizeof(detail::task_promise<void>) <= 32);
static_assert(sizeof(detail::task_promise<std::uint64_t>) <= 40);
static_assert(sizeof(detail::task_context) <= 80);
static_assert(sizeof(detail::fork_join) <= 64);
static_assert(sizeof(detail::fork_join::child) <= 88);
static_assert(sizeof(detail::spawned<void>) <= 224);
static_assert(sizeof(detail::yield_awaiter) <= 32);
static_assert(sizeof(detail::sleep_awaiter) <= 96);

unsigned begun = 0;

task<> sleeps() {
    ++begun;
    co_await sleep(1h);
}

// Bytes for each of many tasks that all sleep, as the allocator counts them.
template <class Start>
std::int64_t bytes_per_task(unsigned n, Start start) {
    config c = threads(1);
    c.frame_cache = 0;
    runtime rt(c);
    std::int64_t each = 0;
    auto const body = [&]() -> task<> {
        std::int64_t const before = live_bytes();
        begun = 0;
        auto all = start(n);
        while (begun < n) {
            co_await this_task::yield();
        }
        each = (live_bytes() - before) / n;
        all.cancel();
    };
    rt.block_on(body());
    return each;
}

task<> gathered(unsigned n) {
    std::vector<task<>> all;
    all.reserve(n);
    for (unsigned i = 0; i < n; ++i) {
        all.push_back(sleeps());
    }
    co_await gather(std::move(all));
}

TEST_CASE("LOOP-15: a child of a gather that sleeps costs at most 300 bytes, its frame and its timer included") {
    if (!allocations_are_ours()) {
        return;
    }
    auto const each = bytes_per_task(10'000, [](unsigned n) { return spawn(gathered(n)); });
    MESSAGE("bytes: ", each);
    CHECK(each > 100);
    CHECK(each <= 300 + larger_frames);
}

struct spawned_tasks {
    std::vector<join_handle<void>> all;
    void cancel() {
        for (auto& each : all) {
            each.cancel();
        }
    }
};

TEST_CASE("LOOP-15: a spawned task that sleeps costs at most 450 bytes, its frame, its record and its timer included") {
    if (!allocations_are_ours()) {
        return;
    }
    auto const each = bytes_per_task(10'000, [](unsigned n) {
        spawned_tasks made;
        made.all.reserve(n);
        for (unsigned i = 0; i < n; ++i) {
            made.all.push_back(spawn(sleeps()));
        }
        return made;
    });
    MESSAGE("bytes: ", each);
    CHECK(each > 200);
    CHECK(each <= 450 + larger_frames);
}

}  // namespace
