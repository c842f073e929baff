// What happens when there is no memory: an await or a spawn throws, and nothing else has changed. (TASK-22 for tasks that
// are spawned by themselves: tests/runtime/spawn_memory_test.cpp.)

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>
#include <runtime/support/allocations.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

config uncached() {
    config c = simulated();
    c.frame_cache = 0;  // every frame is an allocation that can fail
    return c;
}

// Too large for any cache of small blocks.
using bulk = std::array<std::byte, 5000>;

task<int> holds(token, bulk) {
    co_await sleep(1ms);
    co_return 1;
}

TEST_CASE("TASK-22: without memory g.spawn throws bad_alloc, destroys its argument, and the group has no child more") {
    if (!allocations_are_ours()) {
        return;
    }
    tally count;
    bool clean = true;
    int failed = 0;
    int spawned = 0;
    std::string const name(200, 'n');  // has to be copied
    auto const body = [&]() -> task<> {
        auto const block = [&](task_group_of<int>& g) -> task<> {
            for (int n = 0; n < 100; ++n) {
                failing_allocations const failing(n);
                try {
                    g.spawn(holds(token(count), bulk()), {.name = name});
                    ++spawned;
                } catch (std::bad_alloc const&) {
                    ++failed;
                    clean = clean && count.alive == 0;  // CHECK() would need memory
                }
                if (failing.refused() == 0) {
                    break;
                }
            }
            co_return;
        };
        auto const results = co_await with_task_group<int>(block);
        CHECK(results == std::vector<int>{1});
    };
    run(body(), uncached());
    CHECK(failed >= 2);  // the name, the place of the result; the frame and the record may be recycled ones
    CHECK(spawned == 1);
    CHECK(count.made == failed + spawned);
    CHECK(clean);
    CHECK(count.alive == 0);
}

TEST_CASE("TASK-22: without memory a bounded spawn throws bad_alloc, and its place is another one's") {
    if (!allocations_are_ours()) {
        return;
    }
    tally count;
    bool clean = true;
    int failed = 0;
    auto const body = [&]() -> task<> {
        auto const block = [&](task_group_of<int>& g) -> task<> {
            for (int n = 0; n < 100; ++n) {
                bool ready = false;
                {
                    failing_allocations const failing(n);
                    try {
                        co_await g.spawn_bounded(holds(token(count), bulk()), 1);
                    } catch (std::bad_alloc const&) {
                        ++failed;
                        clean = clean && count.alive == 0;
                    }
                    ready = failing.refused() == 0;
                }
                if (ready) {
                    break;
                }
            }
        };
        auto const results = co_await with_task_group<int>(block);
        CHECK(results == std::vector<int>{1});
    };
    run(body(), uncached());
    CHECK(failed >= 1);
    CHECK(clean);
    CHECK(count.alive == 0);
}

TEST_CASE("TASK-22: without memory a gather of a range throws bad_alloc, and no child has begun") {
    if (!allocations_are_ours()) {
        return;
    }
    tally count;
    bool clean = true;
    int failed = 0;
    auto const body = [&]() -> task<> {
        for (int n = 0; n < 200; ++n) {
            bool ready = false;
            bool thrown = false;
            time_point const before = now();
            {
                failing_allocations const failing(n);
                try {
                    std::vector<task<int>> tasks;
                    for (int i = 0; i < 3; ++i) {
                        tasks.push_back(holds(token(count), bulk()));
                    }
                    auto const values = co_await gather(std::move(tasks));
                    clean = clean && values.size() == 3;
                } catch (std::bad_alloc const&) {
                    ++failed;
                    thrown = true;
                    clean = clean && count.alive == 0;
                }
                ready = failing.refused() == 0;
            }
            if (ready) {
                break;
            }
            CHECK(thrown);
            CHECK((now() == before || now() == before + 1ms));  // the last allocation is the results', after the join
        }
    };
    run(body(), uncached());
    CHECK(failed >= 5);
    CHECK(clean);
    CHECK(count.alive == 0);
}

}  // namespace
