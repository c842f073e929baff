// with_task_group and the requests it makes itself: what it takes back, and what it leaves to others.

#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("TG-31: inner and outer child fail in the same tick: both requests count, each is taken back by its group") {
    auto const body = []() -> task<> {
        trace seen;
        auto inner = [](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "inner"));
            co_await sleep(1h);
        };
        auto outer = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "outer"));
            try {
                co_await with_task_group(inner);
            } catch (exception_group const&) {
                seen.push_back("inner handled, cancelling " + std::to_string(this_task::cancelling()));
            }
            co_await sleep(1h);
            seen.emplace_back("NOT REACHED");
        };
        try {
            co_await with_task_group(outer);
        } catch (exception_group const& errors) {
            seen.push_back("outer " + std::to_string(errors.size()));
        }
        CHECK(seen == trace{"inner handled, cancelling 1", "outer 1"});
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
    };
    run(body(), simulated());
}

TEST_CASE("TG-32: child error and a request from outside together: the group error, then the request is delivered") {
    auto const body = []() -> task<> {
        trace seen;
        auto block = [](task_group& g) -> task<> {
            g.spawn(fails_after(5ms, "child"));
            co_await sleep(1h);
        };
        auto owner = [&]() -> task<> {
            try {
                co_await with_task_group(block);
            } catch (exception_group const&) {
                seen.push_back("group error, cancelling " + std::to_string(this_task::cancelling()));
            }
            co_await sleep(1h);
            seen.emplace_back("NOT REACHED");
        };
        auto h = spawn(owner());
        co_await this_task::yield();
        co_await this_task::yield();
        co_await sleep(5ms);  // behind the child's timer: it fails first in this round, and the body is not resumed yet
        h.cancel();
        co_await sleep(1ms);
        CHECK(seen == trace{"group error, cancelling 1"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("TG-36, BEY-05, BEY-25: cancel() ends the block without an error; idempotent; errors on the way are thrown") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto block = [&](task_group& g) -> task<> {
            g.spawn(cleans_up(seen, "child", 1h, 3ms));
            co_await sleep(1ms);
            g.cancel();
            g.cancel();
            CHECK_THROWS_AS(g.spawn(nap(1ms)), group_aborting);
            co_await sleep(1h);
            seen.emplace_back("NOT REACHED");
        };
        co_await with_task_group(block);
        CHECK(watch.ms() == 4);
        CHECK(seen == trace{"child cancelled", "child cleaned"});
        CHECK(this_task::cancelling() == 0);

        // By a child, while the owner waits; and by a body that does not suspend any more.
        auto cancels = [](task_group& g) -> task<> {
            co_await sleep(1ms);
            g.cancel();
        };
        co_await with_task_group([&](task_group& g) {
            g.spawn(nap(1h));
            g.spawn(cancels(g));
        });
        co_await with_task_group([&](task_group& g) {
            g.spawn(nap(1h));
            g.cancel();
        });
        CHECK(watch.ms() == 5);
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);

        auto fails = [](task_group& g) -> task<> {
            g.cancel();
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                throw oops("on the way");
            }
        };
        std::size_t errors = 0;
        try {
            co_await with_task_group(fails);
        } catch (exception_group const& e) {
            errors = e.size();
        }
        CHECK(errors == 1);

        std::vector<int> const v = co_await with_task_group<int>([](task_group_of<int>& g) -> task<> {
            g.spawn(after(1ms, 1));
            g.spawn(after(1h, 2));
            co_await sleep(2ms);
            g.cancel();
        });
        CHECK(v == std::vector{1});
    };
    run(body(), simulated());
}

TEST_CASE("TG-37: after cancel() a timeout, or a request from outside, that comes while the children end is not lost") {
    auto const body = []() -> task<> {
        auto slow = [](task_group& g) -> task<> {
            trace ignored;
            auto stubborn = []() -> task<> {
                try {
                    co_await sleep(1h);
                } catch (task_cancelled const&) {}
                co_await sleep(20ms);
            };
            g.spawn(stubborn());
            co_await this_task::yield();
            g.cancel();
        };
        stopwatch const watch;
        bool timed_out = false;
        try {
            co_await timeout(5ms, with_task_group(slow));
        } catch (timeout_error const&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK(watch.ms() == 20);
        CHECK(this_task::cancelling() == 0);

        auto h = spawn(with_task_group(slow));
        co_await sleep(5ms);
        h.cancel();
        co_await sleep(30ms);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("a group inside the cleanup of a cancelled task works as ever") {
    auto const body = []() -> task<> {
        trace seen;
        auto owner = [&]() -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            CHECK(cancelled);
            std::size_t errors = 0;
            try {
                auto fails = [](task_group& g) -> task<> {
                    g.spawn(fails_after(1ms, "child"));
                    co_await sleep(1h);
                };
                co_await with_task_group(fails);
            } catch (exception_group const& e) {
                errors = e.size();
            }
            CHECK(errors == 1);
            CHECK(this_task::cancelling() == 1);
            co_await sleep(1ms);  // not interrupted: the old request was delivered long ago
            seen.emplace_back("cleaned");
            auto ends_itself = [](task_group& g) -> task<> {
                g.cancel();
                co_return;
            };
            co_await with_task_group(ends_itself);
            co_await sleep(1ms);
            seen.emplace_back("again");
            throw task_cancelled();
        };
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(10ms);
        CHECK(h.cancelled());
        CHECK(seen == trace{"cleaned", "again"});
    };
    run(body(), simulated());
}

}  // namespace
