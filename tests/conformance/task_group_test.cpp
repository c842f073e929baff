// Rows about task groups that concern memory, other features, or the whole of a block.

#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>
#include <runtime/support/allocations.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("TG-41: children start by themselves, all are waited for, errors are collected; only then the block ends") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto const block = [&](task_group& g) -> task<> {
            g.spawn(cleans_up(seen, "slow", 1h, 7ms));
            g.spawn(says(seen, "quick"));
            g.spawn(fails_after(5ms, "first"));
            g.spawn(fails_after(5ms, "second"));
            co_await sleep(1ms);
            CHECK(seen == trace{"quick"});  // nobody has awaited it
        };
        auto const errors = co_await errors_of(with_task_group(block));
        CHECK(watch.ms() == 12);
        CHECK(seen == trace{"quick", "slow cancelled", "slow cleaned"});
        REQUIRE(errors.size() == 2);
        CHECK(ends_with(errors[0], "first"));
        CHECK(ends_with(errors[1], "second"));
    };
    run(body(), simulated());
}

TEST_CASE("TG-41: the same on two and eight workers: the block ends after every child, with every error") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(1000); ++i) {
            tally alive;
            std::atomic<int> thrown{0};
            auto const child = [&](int k, token) -> task<> {
                for (int n = 0; n < k % 4; ++n) {
                    co_await this_task::yield();
                }
                if (k % 3 == 0) {
                    thrown.fetch_add(1);
                    throw oops("x");
                }
                co_await sleep(1h);
            };
            auto const body = [&]() -> task<> {
                auto const block = [&](task_group& g) -> task<> {
                    for (int k = 0; k < 9; ++k) {
                        g.spawn(child(k, token(alive)));
                    }
                    co_await sleep(1h);
                };
                int collected = 0;
                try {
                    co_await with_task_group(block);
                } catch (exception_group const& errors) {
                    collected = static_cast<int>(errors.size());
                }
                CHECK((collected == thrown && collected >= 1));
                CHECK(alive.alive == 0);
                CHECK(this_task::cancelling() == 0);
            };
            rt.block_on(body());
        }
    }
}

task<> very_short() {
    co_return;
}

TEST_CASE("TG-20: a group that lives long does not grow: a million children in the memory of a thousand") {
    for (unsigned const workers : {1U, 2U, 8U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.frame_cache = 0;  // what is freed is seen to be freed
        runtime rt(c);
        auto const body = []() -> task<> {
            auto const block = [](task_group& g) -> task<> {
                auto const many = [&](unsigned count) -> task<> {
                    for (unsigned i = 0; i < count; ++i) {
                        co_await g.spawn_bounded(very_short(), 1000);
                    }
                };
                co_await many(rounds(20'000));
                std::int64_t const before = live_bytes();
                co_await many(rounds(300'000));
                CHECK(live_bytes() - before < 1 << 20);
            };
            co_await with_task_group(block);
        };
        rt.block_on(body());
    }
}

TEST_CASE("TG-44: a deadline around a group whose children fail while they unwind: the errors, and that it expired") {
    auto const body = []() -> task<> {
        bool expired = false;
        std::size_t count = 0;
        auto const fails = []() -> task<> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                throw oops("handler");
            }
        };
        auto const group = [&](task_group& g) {
            g.spawn(fails());
            g.spawn(fails());
        };
        auto const block = [&](timeout_scope& scope) -> task<> {
            try {
                co_await with_task_group(group);
            } catch (exception_group const& errors) {
                count = errors.size();
                expired = scope.expired();
                throw;
            }
        };
        bool thrown = false;
        try {
            co_await with_timeout(5ms, block);
        } catch (exception_group const&) {
            thrown = true;
        }
        CHECK((thrown && expired && count == 2));
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
    };
    run(body(), simulated());
}

// A group in the middle of a chain of awaits is entered, spawned into and left on different workers.
task<int> nested(int depth, int width) {
    if (depth == 0) {
        co_await this_task::yield();
        co_return 1;
    }
    auto const block = [&](task_group_of<int>& g) {
        for (int i = 0; i < width; ++i) {
            g.spawn(nested(depth - 1, width));
        }
    };
    auto const leaves = co_await with_task_group<int>(block);
    int sum = 0;
    for (int const each : leaves) {
        sum += each;
    }
    co_return sum;
}

TEST_CASE("TG-40: groups five wide and four deep, on two and eight workers") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(40); ++i) {
            CHECK(rt.block_on(nested(4, 5)) == 625);
        }
    }
}

TEST_CASE("TG-34: a child that fails on another worker before spawn returns cancels its creator at a suspension only") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const body = [](bool eager) -> task<> {
            bool went_on = false;
            bool after = false;
            auto const fails = []() -> task<> {
                throw oops("x");
                co_return;
            };
            auto const block = [&](task_group& g) -> task<> {
                g.spawn(fails(), {.eager = eager});
                went_on = true;
                co_await sleep(1h);
                after = true;
            };
            auto const errors = co_await errors_of(with_task_group(block));
            CHECK((errors.size() == 1 && went_on && !after));
            CHECK(this_task::cancelling() == 0);
        };
        for (unsigned i = 0; i < rounds(1000); ++i) {
            rt.block_on(body(i % 2 == 0));
        }
    }
}

TEST_CASE("TG-32, TG-07: a request from outside against a child's error, on two and eight workers: neither is lost") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const fails = [](unsigned yields) -> task<> {
            for (unsigned i = 0; i < yields; ++i) {
                co_await this_task::yield();
            }
            throw oops("child");
        };
        // What the owner met: the group error, and then the request; or the request alone, before the child failed.
        auto const owner = [&](unsigned i, std::atomic<bool>& met) -> task<> {
            auto const block = [&](task_group& g) -> task<> {
                g.spawn(fails(i % 5));
                co_await sleep(1h);
            };
            bool cancelled = false;
            try {
                co_await with_task_group(block);
            } catch (exception_group const&) {
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            if (!cancelled) {
                try {
                    co_await sleep(1h);
                } catch (task_cancelled const&) {
                    cancelled = true;
                }
            }
            met = cancelled && this_task::cancelling() == 1;
            co_await sleep(1us);  // one request, one delivery
        };
        bool right = true;
        for (unsigned i = 0; i < rounds(3000); ++i) {
            std::atomic<bool> met{false};
            auto h = rt.spawn(owner(i, met));
            some_moments(i % 29);
            h.cancel();
            h.blocking_wait();  // the test's time limit ends a wait in vain
            bool const unstarted = h.cancelled() && !met;
            right = right && (unstarted || (met && h.result().has_value()));
        }
        CHECK(right);
    }
}

}  // namespace
