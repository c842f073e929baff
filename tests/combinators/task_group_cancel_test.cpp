// with_task_group and cancellation: of its owner.

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

TEST_CASE("TG-05: cancelling the owner while it waits for the children cancels all; the owner ends cancelled") {
    int deliveries = 0;
    auto const child = [&]() -> task<> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            ++deliveries;
            throw;
        }
    };
    auto const body = [&]() -> task<> {
        auto block = [&](task_group& g) {
            for (int i = 0; i < 5; ++i) {
                g.spawn(child());
            }
        };
        auto h = spawn(with_task_group(block));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
        CHECK(deliveries == 5);
    };
    run(body(), simulated());
}

TEST_CASE("TG-06: cancelling while the body is suspended: body and children at once, each once") {
    int deliveries = 0;
    trace seen;
    auto const child = [&](std::string name) -> task<> {
        bool cancelled = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            ++deliveries;
            seen.push_back(name);
            cancelled = true;
        }
        if (cancelled) {
            co_await sleep(5ms);  // a second request would end this
            seen.push_back(name + " done");
            throw task_cancelled();
        }
    };
    auto const body = [&]() -> task<> {
        auto block = [&](task_group& g) -> task<> {
            g.spawn(child("a"));
            g.spawn(child("b"));
            co_await child("body");
        };
        auto h = spawn(with_task_group(block));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(10ms);
        CHECK(h.cancelled());
        CHECK(deliveries == 3);
        CHECK(seen == trace{"body", "a", "b", "body done", "a done", "b done"});
    };
    run(body(), simulated());
}

TEST_CASE("TG-07: owner cancelled, a child fails while it unwinds: its error wins, the request stays counted") {
    auto const fails_instead = []() -> task<> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            throw oops("unwinding");
        }
    };
    auto const owner = [&](trace& seen) -> task<> {
        auto block = [&](task_group& g) { g.spawn(fails_instead()); };
        try {
            co_await with_task_group(block);
        } catch (exception_group const& errors) {
            seen.push_back(std::to_string(errors.size()) + " error, cancelling " +
                           std::to_string(this_task::cancelling()));
        }
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            seen.emplace_back("delivered");
            throw;
        }
    };
    auto const body = [&]() -> task<> {
        trace seen;
        auto h = spawn(owner(seen));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(seen == trace{"1 error, cancelling 1", "delivered"});
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("TG-12: the owner's cleanup is not interrupted by a child that fails meanwhile") {
    auto const body = []() -> task<> {
        trace seen;
        auto fails_late = []() -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            if (cancelled) {
                co_await sleep(2ms);
                throw oops("late");
            }
        };
        auto block = [&](task_group& g) -> task<> {
            g.spawn(fails_late());
            co_await cleans_up(seen, "body", 1h, 5ms);
        };
        bool group_error = false;
        auto owner = [&]() -> task<> {
            try {
                co_await with_task_group(block);
            } catch (exception_group const&) {
                group_error = true;
            }
        };
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(10ms);
        CHECK(h.done());
        CHECK(seen == trace{"body cancelled", "body cleaned"});
        CHECK(group_error);
    };
    run(body(), simulated());
}

TEST_CASE("TG-13: cancelling with no children is a plain cancellation") {
    auto const body = []() -> task<> {
        auto h = spawn(with_task_group([](task_group&) -> task<> { co_await sleep(1h); }));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("TG-14, TG-26: a body that replaces the cancellation by its own error: a group error, counts restored") {
    auto const replaces = []() -> task<> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            throw oops("instead");
        }
    };
    auto const body = [&]() -> task<> {
        std::size_t errors = 0;
        unsigned counted = 99;
        auto block = [&](task_group&) -> task<> { co_await replaces(); };
        auto owner = [&]() -> task<> {
            try {
                co_await with_task_group(block);
            } catch (exception_group const& e) {
                errors = e.size();
                counted = this_task::cancelling();
            }
        };
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.done());
        CHECK((errors == 1 && counted == 1));

        auto child_fails = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "child"));
            co_await replaces();
        };
        try {
            co_await with_task_group(child_fails);
        } catch (exception_group const& e) {
            errors = e.size();
        }
        CHECK(errors == 2);
        CHECK(this_task::cancelling() == 0);
        co_await sleep(1ms);
    };
    run(body(), simulated());
}

TEST_CASE("TG-19: cancelled before the children run: they never do") {
    auto const body = []() -> task<> {
        trace seen;
        auto block = [&](task_group& g) -> task<> {
            g.spawn(says(seen, "ran"));
            this_task::cancel();
            co_await sleep(1h);
        };
        auto h = spawn(with_task_group(block));
        co_await sleep(1ms);
        CHECK(h.cancelled());
        CHECK(seen.empty());
    };
    run(body(), simulated());
}

TEST_CASE("TG-38: a second request while the children end neither reaches them nor ends the wait") {
    auto const body = []() -> task<> {
        trace seen;
        unsigned counted = 0;
        auto block = [&](task_group& g) { g.spawn(cleans_up(seen, "child", 1h, 10ms)); };
        auto owner = [&]() -> task<> {
            try {
                co_await with_task_group(block);
            } catch (task_cancelled const&) {
                counted = this_task::cancelling();
                throw;
            }
        };
        auto h = spawn(owner());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK_FALSE(h.done());
        co_await sleep(20ms);
        CHECK(h.cancelled());
        CHECK(counted == 2);
        CHECK(seen == trace{"child cancelled", "child cleaned"});
    };
    run(body(), simulated());
}

TEST_CASE("a request that comes when all children have ended finds the block done, and stays pending") {
    auto const body = []() -> task<> {
        bool left = false;
        auto owner = [&]() -> task<> {
            auto block = [](task_group& g) { g.spawn(nap(5ms)); };
            co_await with_task_group(block);
            left = true;
            co_await sleep(1h);
        };
        auto h = spawn(owner());
        co_await this_task::yield();
        co_await this_task::yield();
        co_await sleep(5ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(left);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

}  // namespace
