// with_task_group: the block and its errors. Spawning: task_group_spawn_test.cpp; cancellation: task_group_cancel_test.cpp.

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

TEST_CASE("TG-01, TG-02: leaving the block waits for all children, whenever they were added; handles give results") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        std::optional<join_handle<int>> kept;
        int sum = 0;
        auto block = [&](task_group& g) -> task<> {
            kept = g.spawn(after(10ms, 1));
            co_await sleep(5ms);
            auto h = g.spawn(after(20ms, 2));
            sum += co_await h;
            g.spawn(nap(5ms));
        };
        co_await with_task_group(block);
        CHECK(watch.ms() == 30);
        CHECK(kept->done());
        sum += co_await *kept;
        CHECK(sum == 3);
    };
    run(body(), simulated());
}

TEST_CASE("the body may be a plain function; options and arguments in every form") {
    auto const body = []() -> task<> {
        trace seen;
        auto plain = [&](task_group& g) { g.spawn(says(seen, "a")); };
        co_await with_task_group(plain);
        co_await with_task_group(plain, {.on_error = wait_all});
        auto with_argument = [&](task_group& g, std::string name) -> task<> {
            g.spawn(says(seen, name));
            co_return;
        };
        co_await with_task_group(with_argument, std::string("b"));
        co_await with_task_group(task_group_options{.serial = true}, with_argument, std::string("c"));
        CHECK(seen == trace{"a", "a", "b", "c"});
        std::vector<int> const v =
            co_await with_task_group<int>([](task_group_of<int>& g, int n) { g.spawn(after(1ms, n)); }, 4);
        CHECK(v == std::vector{4});
    };
    run(body(), simulated());
}

TEST_CASE("TG-03: a child that is cancelled explicitly does not abort the group") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto block = [&](task_group& g) -> task<> {
            auto h = g.spawn(nap(1h));
            g.spawn(cleans_up(seen, "other", 10ms, 1h));
            co_await sleep(1ms);
            h.cancel();
            co_await sleep(1ms);
            CHECK(h.cancelled());
        };
        co_await with_task_group(block);
        CHECK(watch.ms() == 10);
        CHECK(seen == trace{"other ended"});
    };
    run(body(), simulated());
}

TEST_CASE("TG-04, TG-30, BEY-19: the first child error cancels siblings and body; exception_group even for one") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto block = [&](task_group& g) -> task<> {
            g.spawn(cleans_up(seen, "child", 1h, 5ms));
            g.spawn(fails_after(10ms, "boom"));
            co_await cleans_up(seen, "body", 1h, 3ms);
        };
        auto const messages = co_await errors_of(with_task_group(block));
        REQUIRE(messages.size() == 1);
        CHECK(ends_with(messages[0], "boom"));
        CHECK(watch.ms() == 15);
        CHECK(seen == trace{"body cancelled", "child cancelled", "body cleaned", "child cleaned"});
        CHECK(this_task::cancelling() == 0);  // TG-30
        co_await sleep(1ms);                  // TG-35: not cancelled
    };
    run(body(), simulated());
}

TEST_CASE("TG-08: a body error, with or without a suspension before, cancels children, un-started ones too") {
    auto const body = []() -> task<> {
        trace seen;
        auto at_once = [&](task_group& g) -> task<> {
            g.spawn(says(seen, "ran"));
            throw oops("body");
            co_return;
        };
        auto messages = co_await errors_of(with_task_group(at_once));
        REQUIRE(messages.size() == 1);
        CHECK(ends_with(messages[0], "body"));
        CHECK(seen.empty());
        auto later = [&](task_group& g) -> task<> {
            g.spawn(cleans_up(seen, "child", 1h, 1ms));
            co_await sleep(1ms);
            throw oops("body");
        };
        messages = co_await errors_of(with_task_group(later));
        CHECK(messages.size() == 1);
        CHECK(seen == trace{"child cancelled", "child cleaned"});
        auto plain = [&](task_group& g) {
            g.spawn(says(seen, "ran"));
            throw oops("plain body");
        };
        messages = co_await errors_of(with_task_group(plain));
        CHECK(messages.size() == 1);
        CHECK(seen.size() == 2);
    };
    run(body(), simulated());
}

TEST_CASE(
    "TG-09, TG-10, TG-11, BEY-19: nested groups nest errors; an outer error cancels the inner group without one") {
    auto const body = []() -> task<> {
        auto inner_fails = [](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "inner"));
            co_await sleep(1h);
        };
        auto outer = [&](task_group&) -> task<> { co_await with_task_group(inner_fails); };
        bool nested = false;
        try {
            co_await with_task_group(outer);
        } catch (exception_group const& errors) {
            REQUIRE(errors.size() == 1);
            try {
                errors.rethrow_if_single();
            } catch (exception_group const& inside) {
                nested = true;
                CHECK_THROWS_WITH_AS(inside.rethrow_if_single(), "inner", oops);
            }
        }
        CHECK(nested);

        auto inner_sleeps = [](task_group& g) -> task<> {
            g.spawn(nap(1h));
            co_await sleep(1h);
        };
        auto outer_fails = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "outer"));
            co_await with_task_group(inner_sleeps);
        };
        auto const messages = co_await errors_of(with_task_group(outer_fails));
        REQUIRE(messages.size() == 1);
        CHECK(ends_with(messages[0], "outer"));
    };
    run(body(), simulated());
}

TEST_CASE("TG-15, TG-42: all errors in the order in which they happened, the body's last") {
    auto const body = []() -> task<> {
        auto fails_while_unwinding = [](std::string what) -> task<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled = true;
            }
            if (cancelled) {
                co_await sleep(1ms);
                throw oops(what);
            }
        };
        auto block = [&](task_group& g) -> task<> {
            g.spawn(fails_while_unwinding("second"));
            g.spawn(fails_after(1ms, "first"));
            g.spawn(fails_while_unwinding("third"));
            co_await fails_while_unwinding("body");
        };
        auto const messages = co_await errors_of(with_task_group(block));
        REQUIRE(messages.size() == 4);
        CHECK(ends_with(messages[0], "first"));
        CHECK(ends_with(messages[1], "second"));
        CHECK(ends_with(messages[2], "third"));
        CHECK(ends_with(messages[3], "body"));
    };
    run(body(), simulated());
}

TEST_CASE("TG-17, TG-33, TG-42: exceptions of any type are kept, and destroyed once") {
    tally objects;
    struct odd {
        token counted;
    };
    auto const body = [&]() -> task<> {
        auto throws = [&]() -> task<> {
            throw odd{token(objects)};
            co_return;
        };
        auto throws_int = []() -> task<> {
            throw 42;
            co_return;
        };
        auto block = [&](task_group& g) {
            g.spawn(throws());
            g.spawn(throws_int());
        };
        int caught = 0;
        try {
            co_await with_task_group(block);
        } catch (exception_group const& errors) {
            auto const rest =
                errors.handle<odd>([&](odd const&) { ++caught; }).handle<int>([&](int n) { caught += n; });
            CHECK(rest.empty());
        }
        CHECK(caught == 1);  // the second was cancelled before it began
        CHECK(objects.alive == 0);
    };
    run(body(), simulated());
}

TEST_CASE("TG-34: an eager child that fails inside spawn cancels the creator at its next suspension, not there") {
    auto const body = []() -> task<> {
        bool went_on = false;
        auto fails = []() -> task<> {
            throw oops("eager");
            co_return;
        };
        auto block = [&](task_group& g) -> task<> {
            auto h = g.spawn(fails(), {.eager = true});
            CHECK(h.done());
            went_on = true;
            co_await sleep(1h);
        };
        auto const messages = co_await errors_of(with_task_group(block));
        CHECK(messages.size() == 1);
        CHECK(went_on);
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("TG-39: a child that throws the cancellation type itself counts as cancelled") {
    auto const body = []() -> task<> {
        auto throws = []() -> task<> {
            throw task_cancelled();
            co_return;
        };
        co_await with_task_group([&](task_group& g) { g.spawn(throws()); });
    };
    run(body(), simulated());
}

TEST_CASE("TG-46, BEY-06: wait_all: nobody is cancelled, all errors are thrown at the end") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        auto block = [&](task_group& g) -> task<> {
            g.spawn(fails_after(1ms, "one"));
            g.spawn(cleans_up(seen, "child", 10ms, 1h));
            g.spawn(fails_after(5ms, "two"));
            co_await sleep(3ms);
            seen.emplace_back("body");
            g.spawn(says(seen, "late"));
        };
        auto const messages = co_await errors_of(with_task_group(block, {.on_error = wait_all}));
        CHECK(messages.size() == 2);
        CHECK(watch.ms() == 10);
        CHECK(seen == trace{"body", "late", "child ended"});
    };
    run(body(), simulated());
}

}  // namespace
