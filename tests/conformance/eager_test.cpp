// The combinators and tasks that begin inside spawn.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr spawn_options eagerly{.eager = true};

task<int> at_once(int value) {
    co_return value;
}

TEST_CASE("EAG-09: gather, wait, shield and timeout of tasks that have ended, or begun, inside spawn") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto ended = spawn(at_once(1), eagerly);
        auto begun = spawn(after(5ms, 2), eagerly);
        CHECK((ended.done() && !begun.done()));
        std::vector<join_handle<int>*> const both{&begun, &ended};
        auto const first = co_await wait(both, {.until = first_completed});
        CHECK(first.done_index == std::vector<std::size_t>{1});
        CHECK(watch.ms() == 0);
        int const shielded_value = co_await shield(begun);
        CHECK(shielded_value == 2);
        auto [a, b, c] = co_await gather(std::move(ended), std::move(begun), spawn(after(5ms, 3), eagerly));
        CHECK((a == 1 && b == 2 && c == 3));
        CHECK(watch.ms() == 10);
        auto const late = co_await how(timeout(1ms, spawn(after(1h, 4), eagerly)));
        CHECK(late == "timeout");
        auto const failed = co_await how(gather(nap(1h), spawn(fails_after(0ms, "eager"), eagerly)));
        CHECK(failed == "eager");
        CHECK(watch.ms() == 11);
    };
    run(body(), simulated());
}

TEST_CASE("EAG-09, TG-34: a group of eager children that end, wait, fail and spawn, on one to eight workers") {
    for (unsigned const workers : {1U, 2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const body = [](bool fails) -> task<> {
            tally alive;
            std::atomic<int> ran{0};
            auto const leaf = [&](token) -> task<> {
                ++ran;
                co_await this_task::yield();
            };
            auto const child = [&](task_group& g, token held, int k) -> task<> {
                g.spawn(leaf(held), eagerly);
                if (k % 2 == 0) {
                    co_await this_task::yield();
                }
                if (fails && k == 5) {
                    throw oops("x");
                }
                ++ran;
            };
            auto const block = [&](task_group& g) -> task<> {
                for (int k = 0; k < 10; ++k) {
                    g.spawn(child(g, token(alive), k), eagerly);
                }
                co_return;
            };
            auto const errors = co_await errors_of(with_task_group(block));
            CHECK(errors.size() == (fails ? 1 : 0));
            CHECK((fails || ran == 20));
            CHECK(alive.alive == 0);
            CHECK(this_task::cancelling() == 0);
        };
        for (unsigned i = 0; i < rounds(500); ++i) {
            rt.block_on(body(i % 2 == 0));
        }
    }
}

}  // namespace
