// with_task_group: spawning, references, bounds, and results.

#include <magpie/combinators/task_group.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE(
    "TG-23: every form of spawn: awaitables, functions, options; the name is there before the first step") {
    auto const body = []() -> task<> {
        trace seen;
        auto name = [&]() -> task<> {
            seen.push_back(this_task::name());
            co_return;
        };
        auto add = [&](int a, int b) -> task<int> { co_return a + b; };
        auto block = [&](task_group& g) -> task<> {
            auto named = g.spawn(name(), {.name = "TG-23"});
            CHECK(named.name() == "TG-23");
            g.spawn(name, {.name = "function"});
            g.spawn(spawn_options{.name = "first"}, name);
            g.spawn(sleep(1ms));
            join_handle<int> sum = g.spawn(add, 1, 2);
            int const three = co_await sum;
            CHECK(three == 3);
            auto moved = g.spawn(spawn_options{.name = "args"}, add, 3, 4);
            int const seven = co_await std::move(moved);
            CHECK(seven == 7);
        };
        co_await with_task_group(block);
        CHECK(seen == trace{"TG-23", "function", "first"});
    };
    run(body(), simulated());
}

TEST_CASE("TG-20: ended children are released at once") {
    tally objects;
    auto const holds = [](token t) -> task<token> { co_return t; };
    auto const body = [&]() -> task<> {
        auto block = [&](task_group& g) -> task<> {
            for (int i = 0; i < 100; ++i) {
                g.spawn(holds(token(objects)));
                co_await this_task::yield();
                CHECK(objects.alive == 0);
            }
        };
        co_await with_task_group(block);
    };
    run(body(), simulated());
}

TEST_CASE("TG-21: a child may spawn siblings while the owner waits already") {
    auto const body = []() -> task<> {
        trace seen;
        auto first = [&](task_group& g) -> task<> {
            co_await sleep(1ms);
            seen.emplace_back("first");
            g.spawn(says(seen, "second"));
        };
        co_await with_task_group([&](task_group& g) { g.spawn(first(g)); });
        CHECK(seen == trace{"first", "second"});
    };
    run(body(), simulated());
}

task<> hydra(task_group& g, int& heads, int limit) {
    if (++heads == limit) {
        throw oops("cut");
    }
    co_await this_task::yield();
    g.spawn(hydra(g, heads, limit));
    g.spawn(hydra(g, heads, limit));
}

TEST_CASE("TG-22: a group that spawns itself exponentially is stopped by one failure") {
    auto const body = []() -> task<> {
        int heads = 0;
        auto block = [&](task_group& g) { g.spawn(hydra(g, heads, 500)); };
        auto const messages = co_await errors_of(with_task_group(block));
        CHECK(messages.size() == 1);
        CHECK(heads < 2000);
    };
    run(body(), simulated());
}

TEST_CASE("TG-25: spawning in an aborting group throws, and the task is destroyed un-started") {
    tally objects;
    auto const holds = [](token) -> task<> { co_return; };
    auto const body = [&]() -> task<> {
        bool refused = false;
        auto block = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "boom"));
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                CHECK_THROWS_AS(g.spawn(holds(token(objects))), group_aborting);
                refused = true;
                throw;
            }
        };
        auto const messages = co_await errors_of(with_task_group(block));
        CHECK(messages.size() == 1);
        CHECK(refused);
        CHECK(objects.alive == 0);
        CHECK(objects.made == 1);

        // One that escapes the body, or a child, is that one's cancellation.
        auto escapes = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "boom"));
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {}
            g.spawn(nap(1ms));
        };
        auto const escaped = co_await errors_of(with_task_group(escapes));
        REQUIRE(escaped.size() == 1);
        CHECK(ends_with(escaped[0], "boom"));
    };
    run(body(), simulated());
}

TEST_CASE("TG-28: a reference outlives the block, and then refuses") {
    tally objects;
    auto const holds = [](token) -> task<> { co_return; };
    auto const body = [&]() -> task<> {
        std::optional<task_group_ref> kept;
        trace seen;
        auto block = [&](task_group& g) -> task<> {
            kept = g.ref();
            kept->spawn(says(seen, "through the reference"));
            co_return;
        };
        co_await with_task_group(block);
        CHECK(seen.size() == 1);
        CHECK_THROWS_AS(kept->spawn(holds(token(objects))), usage_error);
        CHECK(objects.alive == 0);
        kept->cancel();
        task_group_ref const copy = *kept;
        kept.reset();
        copy.cancel();
    };
    run(body(), simulated());
}

TEST_CASE("TG-43, BEY-01: results come in spawn order; cancelled children leave none; kept handles stay readable") {
    struct no_default {
        explicit no_default(int n) : number(n) {}
        int number;
    };
    auto const body = []() -> task<> {
        std::optional<join_handle<std::string>> kept;
        auto block = [&](task_group_of<std::string>& g) -> task<> {
            g.spawn(after(30ms, std::string("a")));
            kept = g.spawn(after(10ms, std::string("b")));
            auto h = g.spawn(after(1h, std::string("never")));
            g.spawn(after(20ms, std::string("c")));
            co_await sleep(1ms);
            h.cancel();
        };
        auto const v = co_await with_task_group<std::string>(block);
        CHECK(v == trace{"a", "b", "c"});
        std::string const again = co_await *kept;
        CHECK(again == "b");
        auto const w = co_await with_task_group<no_default>(
            [](task_group_of<no_default>& g) { g.spawn(after(1ms, no_default(3))); });
        CHECK(w.at(0).number == 3);
        auto const u = co_await with_task_group<std::unique_ptr<int>>(
            [](task_group_of<std::unique_ptr<int>>& g) { g.spawn(after(1ms, std::make_unique<int>(4))); });
        CHECK(*u.at(0) == 4);
        auto const bits = co_await with_task_group<bool>([](task_group_of<bool>& g) {
            g.spawn(after(2ms, true));
            g.spawn(after(1ms, false));
        });
        CHECK(bits == std::vector<bool>{true, false});
    };
    run(body(), simulated());
}

TEST_CASE("BEY-26: spawn_bounded suspends until fewer than n live; first come, first served") {
    auto const body = []() -> task<> {
        int inside = 0;
        int most = 0;
        stopwatch const watch;
        auto work = [&](int) -> task<> {
            most = std::max(most, ++inside);
            co_await sleep(10ms);
            --inside;
        };
        auto block = [&](task_group& g) -> task<> {
            for (int i = 0; i < 10; ++i) {
                auto h = co_await g.spawn_bounded(work(i), 3);
                CHECK_FALSE(h.done());
            }
        };
        co_await with_task_group(block);
        CHECK(most == 3);
        CHECK(watch.ms() == 40);
        auto zero = [](task_group& g) -> task<> { co_await g.spawn_bounded(nap(1ms), 0); };
        auto const messages = co_await errors_of(with_task_group(zero));
        CHECK(messages.size() == 1);

        // Two producers: the requests are served in the order in which they were made.
        trace seen;
        auto produce = [&](task_group& g, std::string name) -> task<> {
            for (int i = 0; i < 3; ++i) {
                co_await g.spawn_bounded(says(seen, name), 3);
            }
        };
        auto both = [&](task_group& g) {
            g.spawn(produce(g, "a"));
            g.spawn(produce(g, "b"));
        };
        co_await with_task_group(both);
        CHECK(seen == trace{"a", "a", "b", "a", "b", "b"});
    };
    run(body(), simulated());
}

TEST_CASE("BEY-26: a bounded spawn that waits is refused when the group aborts, and can be cancelled") {
    tally objects;
    auto const holds = [](token) -> task<> { co_await sleep(1h); };
    auto const body = [&]() -> task<> {
        auto block = [&](task_group& g) -> task<> {
            g.spawn(fails_after(5ms, "boom"));
            co_await g.spawn_bounded(holds(token(objects)), 1);
        };
        auto const messages = co_await errors_of(with_task_group(block));
        CHECK(messages.size() == 1);
        CHECK(objects.alive == 0);

        // An outsider that waits in vain.
        auto outside = [&](task_group& g) -> task<int> {
            try {
                co_await g.spawn_bounded(holds(token(objects)), 1);
            } catch (group_aborting const&) {
                co_return 1;
            }
            co_return 0;
        };
        std::optional<join_handle<int>> h;
        auto ends_early = [&](task_group& g) -> task<> {
            g.spawn(nap(1h));
            h = spawn(outside(g));
            co_await sleep(1ms);
            g.cancel();
        };
        co_await with_task_group(ends_early);
        int const told = co_await *h;
        CHECK(told == 1);
        CHECK(objects.alive == 0);
    };
    run(body(), simulated());
}

task<> group_tree(int depth, int& leaves) {
    if (depth == 0) {
        ++leaves;
        co_return;
    }
    auto block = [&](task_group& g) {
        for (int i = 0; i < 5; ++i) {
            g.spawn(group_tree(depth - 1, leaves));
        }
    };
    co_await with_task_group(block);
}

TEST_CASE("TG-40: recursive groups, 5 wide and 4 deep") {
    int leaves = 0;
    run(group_tree(4, leaves), simulated());
    CHECK(leaves == 625);
}

}  // namespace
