// Who frees what, and when there is no memory: spawn() with a failing allocator, and a million short tasks.

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

config uncached(config c) {
    c.frame_cache = 0;  // every frame and record comes from the allocator
    return c;
}

// Makes the frame larger than any that is recycled, so that each needs an allocation also where the cache is on.
struct bulk {
    unsigned char bytes[4096]{};
};

task<> keep(token, bulk b) {
    co_await this_task::yield();
    if (b.bytes[static_cast<std::size_t>(this_task::worker())] != 0) {  // else the compiler would leave it out of the frame
        throw std::runtime_error("the argument was changed");
    }
}

struct tries {
    int failed = 0;
    int spawned = 0;
};

// Lets the nth allocation of a spawn, and those after it, fail, for every n until it succeeds. (It may succeed without the
// last one: a queue does with less.)
template <class Spawn>
tries fail_each_allocation(Spawn spawn_once) {
    tries result;
    while (result.spawned == 0 && result.failed < 100) {
        failing_allocations const failing(result.failed);
        try {
            spawn_once();
            ++result.spawned;
        } catch (std::bad_alloc const&) {
            ++result.failed;
        }
    }
    return result;
}

TEST_CASE("TASK-22: without memory spawn throws bad_alloc, destroys its argument, and nothing else has changed") {
    if (!allocations_are_ours()) {
        return;
    }
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        tally count;
        runtime rt(uncached(virtual_time ? simulated() : threads(2)));
        std::string const name(200, 'n');  // has to be copied
        std::size_t const live_before = rt.tasks().size();
        std::vector<join_handle<void>> handles;
        handles.reserve(1);
        tries const t = fail_each_allocation(
            [&] { handles.push_back(rt.spawn(keep(token(count), bulk()), {.name = name})); });
        CHECK(t.failed >= 2);  // the frame and the name; the record may be a recycled one
        CHECK(t.spawned == 1);
        REQUIRE(handles.size() == 1);
        handles[0].blocking_wait();
        CHECK(handles[0].result().has_value());
        CHECK(count.alive == 0);
        CHECK(count.made == t.failed + t.spawned);
        CHECK(rt.tasks().size() == live_before);
    }
}

TEST_CASE("TASK-22: the same on a worker, for a function with arguments") {
    if (!allocations_are_ours()) {
        return;
    }
    tally count;
    auto const body = [&]() -> task<tries> {
        auto const failing_spawns = [&] {
            return fail_each_allocation([&] { spawn_detached(spawn_options{.name = "a name that needs the heap, as it is long"},
                                                             &keep, token(count), bulk()); });
        };
        tries const t = failing_spawns();
        co_await this_task::yield();
        co_return t;
    };
    tries const t = run(body(), uncached(threads(1)));
    CHECK(t.failed >= 3);  // the frame, the record and the name
    CHECK(t.spawned == 1);
    CHECK(count.alive == 0);
}

// Spawns from one task; the others take them away, so that records and frames die on other workers than they come from.
task<std::int64_t> spawn_many(unsigned n) {
    std::atomic<unsigned> ended{0};
    auto const counts = [](std::atomic<unsigned>& into) -> task<> {
        into.fetch_add(1);
        co_return;
    };
    unsigned begun = 0;
    std::int64_t highest = 0;
    while (begun < n) {
        for (unsigned i = 0; i < 1000; ++i, ++begun) {
            spawn_detached(counts, std::ref(ended));
        }
        while (ended.load() + 500 < begun) {
            co_await this_task::yield();
        }
        highest = std::max(highest, live_bytes());
    }
    while (ended.load() < begun) {
        co_await this_task::yield();
    }
    co_return highest;
}

TEST_CASE("TASK-21: memory stays constant over a million tasks, wherever they end") {
    for (unsigned const workers : {1U, 2U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        unsigned const n = rounds(1'000'000) / (workers == 1 ? 1 : 2);
        (void)rt.block_on(spawn_many(n / 50));  // fills the caches
        std::int64_t const before = live_bytes();
        std::int64_t const highest = rt.block_on(spawn_many(n));
        CHECK(highest - before < 4 << 20);
        until([&] { return rt.snapshot().tasks_live == 0; });  // the last has counted itself, and is about to end
    }
}

task<> sleeps_long() {
    co_await sleep(1h);
}

TEST_CASE("TASK-21: a hundred thousand tasks spawned, cancelled or dropped: every frame and argument is freed once") {
    tally count;
    auto const holds = [](token kept, int kind) -> task<> {
        token const another(kept);
        if (kind == 0) {
            co_await sleeps_long();
        } else if (kind == 1) {
            co_await this_task::yield();
        }
    };
    {
        runtime rt(threads(3));
        unsigned const n = rounds(100'000);
        auto const body = [&](unsigned seed) -> task<> {
            std::vector<join_handle<void>> handles;
            for (unsigned i = 0; i < n / 4; ++i) {
                auto h = spawn(holds, token(count), static_cast<int>((i + seed) % 3));
                if (i % 5 == 0) {
                    h.cancel();
                } else if (i % 5 == 1) {
                    h.detach();
                    continue;
                } else if (i % 7 == 0) {
                    handles.push_back(std::move(h));
                }
                if (i % 64 == 0) {
                    co_await this_task::yield();
                }
            }
            for (auto& each : handles) {
                each.cancel();
            }
        };
        std::vector<join_handle<void>> bodies;
        for (unsigned i = 0; i < 4; ++i) {
            bodies.push_back(rt.spawn(body(i)));
        }
        for (auto& each : bodies) {
            each.blocking_wait();
            CHECK(each.result().has_value());
        }
    }
    CHECK(count.alive == 0);
    CHECK(count.made.load() > 0);
}

}  // namespace
