#include <magpie/runtime/awaitable.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// --- What can be awaited, and what it gives.

static_assert(awaitable<task<int>>);
static_assert(awaitable<task<>>);
static_assert(awaitable<join_handle<int>>);
static_assert(awaitable<join_handle<int>&>);
static_assert(awaitable<shared_handle<int>>);
static_assert(awaitable<shared_handle<int> const&>);
static_assert(awaitable<sleep_awaitable>);
static_assert(awaitable<yield_awaitable>);
static_assert(awaitable<decltype(this_task::checkpoint())>);
static_assert(!awaitable<int>);
static_assert(!awaitable<std::string>);
static_assert(!awaitable<std::coroutine_handle<>>);
static_assert(!awaitable<task<int>&>, "a task is awaited at most once: it must be moved in");
static_assert(!awaitable<task<int> const&>);

static_assert(std::same_as<await_result_t<task<int>>, int>);
static_assert(std::same_as<await_result_t<task<>>, void>);
static_assert(std::same_as<await_result_t<task<int&>>, int&>);
static_assert(std::same_as<await_result_t<join_handle<int>>, int>);
static_assert(std::same_as<await_result_t<join_handle<int>&>, int&>);
static_assert(std::same_as<await_result_t<join_handle<int&>>, int&>);
static_assert(std::same_as<await_result_t<join_handle<void>>, void>);
static_assert(std::same_as<await_result_t<join_handle<void>&>, void>);
static_assert(std::same_as<await_result_t<shared_handle<int>>, int const&>);
static_assert(std::same_as<await_result_t<shared_handle<void>>, void>);
static_assert(std::same_as<await_result_t<sleep_awaitable>, void>);
// TASK-17: what a task returns is a value, even if that could be awaited in turn.
static_assert(std::same_as<await_result_t<task<join_handle<int>>>, join_handle<int>>);

// --- Awaitables of a user's own: an awaiter, a member operator, a free operator.

struct raw_awaiter {
    int value;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
    int await_resume() const noexcept { return value; }
};

struct with_member {
    int value;
    raw_awaiter operator co_await() const noexcept { return {value + 1}; }
};

struct with_free {
    int value;
};
raw_awaiter operator co_await(with_free const& from) noexcept {
    return {from.value + 2};
}

static_assert(awaitable<raw_awaiter> && awaitable<with_member> && awaitable<with_free>);
static_assert(std::same_as<await_result_t<with_free>, int>);

TEST_CASE("awaitable: awaiters, member and free operators co_await of a user's own") {
    auto const body = []() -> task<int> {
        int const a = co_await raw_awaiter{100};
        int const b = co_await with_member{10};
        int const c = co_await with_free{1};
        co_return a + b + c;
    };
    CHECK(run(body(), simulated()) == 114);
}

TEST_CASE("TASK-16: every kind of awaitable can be run, spawned and blocked on") {
    CHECK(run(with_member{1}, simulated()) == 2);
    runtime rt(simulated());
    rt.block_on(sleep(1h));
    rt.block_on(this_task::yield());
    CHECK(rt.block_on(with_free{1}) == 3);
    CHECK(rt.block_on(rt.spawn(raw_awaiter{4})) == 4);
    auto shared = rt.spawn(raw_awaiter{5}).share();
    CHECK(rt.block_on(shared) == 5);
    CHECK(rt.block_on(shared) == 5);
}

TEST_CASE("TASK-17: a task that returns a handle gives the handle") {
    auto const body = []() -> task<int> {
        auto const maker = []() -> task<join_handle<int>> { co_return spawn(raw_awaiter{6}); };
        auto handle = co_await maker();
        co_return co_await std::move(handle);
    };
    CHECK(run(body(), simulated()) == 6);
}

// --- The (fn, args...) form keeps what it was given for as long as the task runs.

task<int> reads_late(std::unique_ptr<int> const& pointer, int const& number) {
    co_await this_task::yield();
    co_return *pointer + number;
}

TEST_CASE("task functions: fn and args live in the task, by value, until it ends") {
    tally count;
    auto const body = [&]() -> task<int> {
        auto held = std::make_unique<int>(40);
        token t(count);
        auto lambda = [kept = std::move(t), base = 1](int const& more) -> task<int> {
            co_await this_task::yield();
            co_return base + more;
        };
        auto a = spawn(&reads_late, std::move(held), 2);
        auto b = spawn(std::move(lambda), 10);
        int const first = co_await std::move(a);
        int const second = co_await std::move(b);
        co_return first * 100 + second;
    };
    CHECK(run(body(), simulated()) == 4211);
    CHECK(count.alive == 0);
}

task<> increments(int& counter) {
    ++counter;
    co_return;
}

TEST_CASE("task functions: std::ref passes a reference") {
    int counter = 0;
    runtime rt(simulated());
    rt.spawn(&increments, std::ref(counter)).blocking_wait();
    CHECK(counter == 1);
}

struct adder {
    int base;
    task<int> add(int x) const { co_return base + x; }
};

TEST_CASE("task functions: members may be called on an object or through a pointer") {
    runtime rt(simulated());
    adder const a{5};
    CHECK(rt.block_on(rt.spawn(&adder::add, &a, 2)) == 7);
    CHECK(rt.block_on(rt.spawn(&adder::add, a, 3)) == 8);
}

TEST_CASE("task functions: what fn throws before it returns a task is the task's error") {
    runtime rt(simulated());
    auto const refuses = [](int) -> task<> { throw std::runtime_error("no task"); };
    auto h = rt.spawn(refuses, 1);
    CHECK_THROWS_WITH(rt.block_on(std::move(h)), "no task");
}

}  // namespace
