#include <magpie/runtime/future.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<promise<int>> && std::is_nothrow_move_constructible_v<promise<int>>);
static_assert(!std::is_copy_constructible_v<future<int>> && std::is_nothrow_move_constructible_v<future<int>>);
static_assert(awaitable<future<int>> && awaitable<future<int>&>);
static_assert(std::is_same_v<await_result_t<future<int>>, int> && std::is_same_v<await_result_t<future<int>&>, int&>);
static_assert(std::is_same_v<await_result_t<future<>>, void> && std::is_same_v<await_result_t<future<int&>>, int&>);

template <class H>
concept has_setters = requires(H h) { h.set_value(1); } || requires(H h) { h.set_error(nullptr); };
static_assert(has_setters<promise<int>> && !has_setters<future<int>>);
static_assert(!has_setters<join_handle<int>>, "TASK-15: a task's result cannot be set from outside");

template <class A>
task<std::string> how(A a) {
    try {
        (void)co_await std::move(a);
    } catch (task_cancelled const&) {
        co_return "cancelled";
    } catch (std::exception const& e) {
        co_return e.what();
    }
    co_return "value";
}

TEST_CASE("TASK-11: not set, set, read: a value is moved out of an rvalue, and stays in an lvalue") {
    auto const body = []() -> task<> {
        promise<std::unique_ptr<int>> p;
        auto f = p.get_future();
        CHECK(f.valid());
        CHECK_FALSE(f.done());
        CHECK_FALSE(p.done());
        CHECK_THROWS_AS((void)f.result(), usage_error);
        p.set_value(std::make_unique<int>(7));
        CHECK(f.done());
        CHECK(p.done());
        CHECK(*f.result().value() == 7);
        std::unique_ptr<int>& inside = co_await f;
        CHECK(*inside == 7);
        std::unique_ptr<int> const taken = co_await std::move(f);
        CHECK(*taken == 7);
        CHECK_FALSE(f.valid());
        CHECK_THROWS_AS((void)f.done(), usage_error);
        CHECK_THROWS_AS((void)f.result(), usage_error);
    };
    run(body(), simulated());
}

TEST_CASE("void and references; a value made from several arguments") {
    auto const body = []() -> task<> {
        promise<> nothing;
        auto ended = nothing.get_future();
        nothing.set_value();
        co_await ended;
        int x = 1;
        promise<int&> refers;
        auto reference = refers.get_future();
        refers.set_value(x);
        CHECK(&co_await std::move(reference) == &x);
        promise<std::string> text;
        auto letters = text.get_future();
        CHECK(text.try_set_value(3U, 'x'));
        CHECK(co_await letters == "xxx");
    };
    run(body(), simulated());
}

TEST_CASE("TASK-11: set twice is an error; try_set gives false and leaves its argument alone") {
    promise<std::unique_ptr<int>> p;
    auto f = p.get_future();
    CHECK_THROWS_AS((void)p.get_future(), usage_error);
    CHECK(p.try_set_value(std::make_unique<int>(1)));
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(p.try_set_value(std::move(second)));
    CHECK(second != nullptr);
    CHECK_FALSE(p.try_set_error(std::make_exception_ptr(std::runtime_error("no"))));
    CHECK_FALSE(p.try_set_cancelled());
    CHECK_THROWS_AS(p.set_value(nullptr), usage_error);
    CHECK_THROWS_AS(p.set_error(std::make_exception_ptr(std::runtime_error("no"))), usage_error);
    CHECK_THROWS_AS(p.set_cancelled(), usage_error);
    CHECK(*f.result().value() == 1);
    promise<std::unique_ptr<int>> const moved = std::move(p);
    CHECK(moved.done());
    CHECK_THROWS_AS(p.set_value(nullptr), usage_error);
}

TEST_CASE("TASK-11: an error is rethrown; cancelled is final and gives child_cancelled") {
    auto const body = []() -> task<> {
        promise<int> failing;
        auto f = failing.get_future();
        failing.set_error(std::make_exception_ptr(std::runtime_error("bad")));
        CHECK(co_await how(std::move(f)) == "bad");
        promise<int> given_up;
        auto g = given_up.get_future();
        given_up.set_cancelled();
        CHECK_FALSE(given_up.try_set_value(1));
        CHECK(g.result().cancelled());
        bool told = false;
        try {
            co_await g;
        } catch (child_cancelled const&) {
            told = true;
        }
        CHECK(told);
    };
    run(body(), simulated());
}

struct explosive {
    explicit explosive(bool explode) {
        if (explode) {
            throw std::runtime_error("boom");
        }
    }
};

TEST_CASE("a value whose constructor throws does not set the promise") {
    promise<explosive> p;
    auto f = p.get_future();
    CHECK_THROWS_AS(p.set_value(true), std::runtime_error);
    CHECK_FALSE(f.done());
    p.set_value(false);
    CHECK(f.result().has_value());
}

TEST_CASE("a promise that dies unset gives broken_promise to whoever waits, and to whoever comes") {
    event_log unhandled;
    auto c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = []() -> task<> {
        std::optional<promise<int>> p(std::in_place);
        auto f = p->get_future();
        auto waits = spawn([](future<int>& from) -> task<std::string> {
            try {
                co_await from;
            } catch (broken_promise const& e) {
                co_return e.what();
            }
            co_return "no error";
        }, std::ref(f));
        co_await this_task::yield();
        p.reset();
        CHECK(co_await std::move(waits) == "the promise was destroyed before it was set");
        CHECK_THROWS_AS(f.result().value(), broken_promise);
        promise<int> replaced;
        auto g = replaced.get_future();
        replaced = promise<int>();
        CHECK(g.done());
        promise<int> unused;
        (void)unused.get_future();
    };
    run(body(), c);
    CHECK(unhandled.size() == 0);
}

TEST_CASE("TASK-08: an error that nobody has looked at is reported once, when both ends are gone") {
    event_log unhandled;
    auto c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = [&]() -> task<> {
        auto const bad = std::make_exception_ptr(std::runtime_error("lost"));
        {
            promise<int> p;
            auto f = p.get_future();
            p.set_error(bad);
        }
        CHECK(unhandled.size() == 1);
        {
            promise<int> p;
            auto f = p.get_future();
            p.set_error(bad);
            (void)f.result();
        }
        {
            promise<int> p;
            auto f = p.get_future();
            p.set_error(bad);
            co_await how(std::move(f));
        }
        CHECK(unhandled.size() == 1);
    };
    run(body(), c);
    CHECK(unhandled.entries()[0].error == "std::runtime_error: lost");
}

TEST_CASE("several tasks await one future, in order; cancelling one ends its wait only") {
    auto const body = []() -> task<> {
        promise<int> p;
        auto f = p.get_future();
        std::vector<std::string> seen;
        auto const waits = [&](std::string name) -> task<> {
            seen.push_back(name + std::to_string(co_await f));
        };
        auto a = spawn(waits("a"));
        auto b = spawn(waits("b"));
        auto c = spawn(waits("c"));
        co_await this_task::yield();
        b.cancel();
        co_await this_task::yield();
        CHECK(b.cancelled());
        CHECK_FALSE(f.done());
        p.set_value(5);
        CHECK(seen.empty());  // queued, not run
        co_await std::move(c);
        CHECK(seen == std::vector<std::string>{"a5", "c5"});
        CHECK(a.done());
    };
    run(body(), simulated());
}

TEST_CASE("D9: set first, cancelled second: the value is delivered, and the request stays pending") {
    auto const body = []() -> task<> {
        promise<int> p;
        auto f = p.get_future();
        int got = 0;
        auto const waits = [&]() -> task<> {
            got = co_await std::move(f);
            co_await this_task::yield();
            got = -1;
        };
        auto h = spawn(waits());
        co_await this_task::yield();
        p.set_value(5);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
        CHECK(got == 5);
    };
    run(body(), simulated());
}

TEST_CASE("a pending request is delivered by a wait, not by a future that is set") {
    auto const body = []() -> task<> {
        promise<int> p;
        auto f = p.get_future();
        this_task::cancel();
        CHECK(co_await how(std::move(f)) == "cancelled");
        this_task::uncancel();
        promise<int> q;
        auto g = q.get_future();
        q.set_value(1);
        this_task::cancel();
        CHECK(co_await g == 1);
        this_task::uncancel();
    };
    run(body(), simulated());
}

TEST_CASE("a run in which nobody can set the promise says what is waited for") {
    promise<int> p;
    auto f = p.get_future();
    auto const body = [&]() -> task<> { co_await f; };
    try {
        run(body(), simulated());
        FAIL("it ended");
    } catch (deadlock_error const& e) {
        CHECK(std::string(e.what()).find("waits for future") != std::string::npos);
    }
}

TEST_CASE("TASK-14: foreign threads set what tasks await, and wait for what tasks set") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(300); ++i) {
            promise<unsigned> to_task;
            promise<unsigned> to_thread;
            auto f = to_task.get_future();
            auto g = to_thread.get_future();
            auto const passes_on = [&]() -> task<> { to_thread.set_value(co_await std::move(f) + 1); };
            auto h = rt.spawn(passes_on());
            std::thread sets([&] { to_task.set_value(i); });
            g.blocking_wait();
            CHECK(g.result().value() == i + 1);
            sets.join();
            h.blocking_wait();
        }
        auto const refused = []() -> task<> {
            promise<> p;
            auto f = p.get_future();
            CHECK_THROWS_AS(f.blocking_wait(), usage_error);
            co_return;
        };
        rt.block_on(refused());
    }
}

TEST_CASE("TASK-11: set from several threads at once, exactly one wins; whoever wakes drops both ends at once") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(300); ++i) {
            tally counted;
            std::atomic<int> won{0};
            auto p = std::make_shared<promise<token>>();
            auto const waits = [](std::shared_ptr<promise<token>> own) -> task<> {
                auto f = own->get_future();
                auto const t = co_await std::move(f);
                own.reset();
            };
            auto h = rt.spawn(waits(p));
            std::vector<std::thread> setters;
            for (int k = 0; k < 3; ++k) {
                setters.emplace_back([&, own = p] {
                    if (own->try_set_value(counted)) {
                        won.fetch_add(1);
                    }
                });
            }
            p.reset();
            for (auto& each : setters) {
                each.join();
            }
            h.blocking_wait();
            CHECK(won == 1);
            CHECK(counted.made == 1);
            CHECK(counted.alive == 0);
        }
    }
}

TEST_CASE("the promise may be destroyed by whoever its value wakes, while the setter has not returned") {
    runtime rt(threads(2));
    for (unsigned i = 0; i < rounds(1000); ++i) {
        auto* const p = new promise<unsigned>;
        auto const waits = [p]() -> task<unsigned> {
            auto f = p->get_future();
            unsigned const got = co_await f;
            delete p;
            co_return got;
        };
        auto h = rt.spawn(waits());
        p->set_value(i);
        h.blocking_wait();
        CHECK(h.result().value() == i);
    }
}

TEST_CASE("a cancellation races with the setting: the value, or cancelled") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned i = 0; i < rounds(2000); ++i) {
                promise<int> p;
                auto f = p.get_future();
                std::atomic<int> got{0};
                auto const waits = [&]() -> task<> { got = co_await f; };
                auto const sets = [&]() -> task<> {
                    p.set_value(7);
                    co_return;
                };
                auto victim = spawn(waits());
                auto other = spawn(waits());
                auto setter = spawn(sets());
                victim.cancel();
                co_await std::move(setter);
                co_await std::move(other);
                CHECK(got == 7);
                try {
                    co_await victim;
                } catch (child_cancelled const&) {
                }
            }
        };
        rt.block_on(body());
    }
}

} // namespace
