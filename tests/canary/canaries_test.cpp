// One canary per compiler trap. Each says what this compiler does: where one is known to be wrong the test asserts the
// wrong behaviour, so that it fails, and the workaround can go, once a newer compiler gets it right.
//
// The traps of g++ 12 all have one cause: in a full-expression that contains co_await, a temporary that is initialised
// as a closure or an aggregate, and has members with non-trivial destructors, is destroyed twice. So everything that
// the library puts into such expressions has a constructor, and callables go in by name or as (fn, args...).

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;

#if defined(__GNUC__) && !defined(__clang__)
constexpr bool destroys_temporaries_twice = __GNUC__ < 13;
#else
constexpr bool destroys_temporaries_twice = false;
#endif

// Counts constructions against destructions; destroying one twice makes the balance negative and harms nothing.
int balance = 0;

class counted {
public:
    counted() noexcept { ++balance; }
    counted(counted const&) noexcept { ++balance; }
    counted(counted&&) noexcept { ++balance; }
    counted& operator=(counted const&) = default;
    ~counted() { --balance; }
};

config one_worker() {
    config c;
    c.workers = 1;
    return c;
}

// Runs a coroutine and tells how often more than due something was destroyed in it.
template <class F>
int destroyed_too_often(F body) {
    balance = 0;
    run(body(), one_worker());
    return -balance;
}

task<> takes(counted) {
    co_return;
}

template <class F>
task<> calls(F f) {
    f();
    co_return;
}

struct options {
    int limit = 0;
    counted member{};
};

task<> configured(options) {
    co_return;
}

struct aggregate_awaiter {
    counted member{};
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

class proper_awaiter {
public:
    proper_awaiter() noexcept {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}

private:
    counted member_;
};

// ------------------------------------------------------------------------------------------------ wrong on g++ 12

TEST_CASE("trap: a temporary closure in a co_await expression") {
    int const extra = destroyed_too_often([]() -> task<> {
        counted c;
        co_await calls([c] { (void)c; });
    });
    CHECK((extra > 0) == destroys_temporaries_twice);
}

TEST_CASE("trap: temporary options, an aggregate with a non-trivial member") {
    int const extra = destroyed_too_often([]() -> task<> { co_await configured({.limit = 7}); });
    CHECK((extra > 0) == destroys_temporaries_twice);
}

TEST_CASE("trap: an awaiter that is an aggregate") {
    int const extra = destroyed_too_often([]() -> task<> { co_await aggregate_awaiter{}; });
    CHECK((extra > 0) == destroys_temporaries_twice);
}

int plain(auto const& f) {
    f();
    return 1;
}

task<int> gives(int v) {
    co_return v;
}

TEST_CASE("trap: a closure elsewhere in the expression, not awaited at all") {
    int const extra = destroyed_too_often([]() -> task<> {
        counted c;
        int const sum = plain([c] { (void)c; }) + co_await gives(1);
        CHECK(sum == 2);
    });
    CHECK((extra > 0) == destroys_temporaries_twice);
}

// ------------------------------------------------------------------------------------------------ right everywhere

TEST_CASE("safe: a named callable that is moved in; (fn, args...); a closure in a statement without co_await") {
    CHECK(destroyed_too_often([]() -> task<> {
        counted c;
        auto named = [c] { (void)c; };
        co_await calls(std::move(named));
    }) == 0);
    CHECK(destroyed_too_often([]() -> task<> {
        auto h = spawn(&takes, counted());
        co_await std::move(h);
    }) == 0);
    CHECK(destroyed_too_often([]() -> task<> {
        counted c;
        auto h = spawn([c]() -> task<> { return takes(c); });
        co_await std::move(h);
    }) == 0);
}

TEST_CASE("safe: temporaries of types with constructors: awaiters, arguments, tuples, strings") {
    CHECK(destroyed_too_often([]() -> task<> { co_await proper_awaiter(); }) == 0);
    CHECK(destroyed_too_often([]() -> task<> { co_await takes(counted()); }) == 0);
    auto const joined = [](std::pair<std::string, counted> p) -> task<std::string> { co_return p.first; };
    CHECK(destroyed_too_often([&]() -> task<> {
        std::string const s = co_await joined(std::pair(std::string(100, 'x'), counted()));
        CHECK(s.size() == 100);
    }) == 0);
}

TEST_CASE("safe: this library's awaitables as temporaries") {
    CHECK(destroyed_too_often([]() -> task<> {
        co_await sleep(std::chrono::nanoseconds{1});
        co_await this_task::yield();
        co_await this_task::checkpoint();
        co_await spawn(takes(counted()));
        (void)co_await spawn(gives(1)).share();
    }) == 0);
}

task<counted> gives_counted() {
    co_return counted();
}

task<std::pair<counted, int>> gives_pair() {
    co_return std::pair(counted(), 3);
}

TEST_CASE("safe: results bound, dropped, and taken apart; if and else in place of ?:") {
    CHECK(destroyed_too_often([]() -> task<> {
        counted const kept = co_await gives_counted();
        co_await gives_counted();
        auto const [first, second] = co_await gives_pair();
        CHECK(second == 3);
        bool const both = co_await gives(1) == 1 && co_await gives(2) == 2;
        CHECK(both);
    }) == 0);
}

task<std::vector<int>> gives_vector() {
    co_return {1, 2, 3};
}

TEST_CASE("safe: a range-for over an awaited container") {
    auto const body = []() -> task<int> {
        int sum = 0;
        for (int const each : co_await gives_vector()) {
            sum += each;
        }
        co_return sum;
    };
    CHECK(run(body(), one_worker()) == 6);
}

task<> throws_after(counted) {
    co_await this_task::yield();
    throw std::runtime_error("e");
}

TEST_CASE("safe: exceptions through frames with arguments, caught around a co_await and thrown again") {
    CHECK(destroyed_too_often([]() -> task<> {
        auto const rethrows = []() -> task<> {
            try {
                co_await throws_after(counted());
            } catch (...) {
                throw;
            }
        };
        try {
            co_await rethrows();
        } catch (std::runtime_error const&) {
        }
    }) == 0);
}

// ------------------------------------------------------------------------------------------------ stack and threads

task<int> deep(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    int const below = co_await deep(depth - 1);
    co_return below + 1;
}

TEST_CASE("symmetric transfer is a jump in this configuration: a million awaits, in a row and nested") {
    auto const in_a_row = []() -> task<int> {
        int sum = 0;
        for (int i = 0; i < 1'000'000; ++i) {
            sum += co_await gives(1);
        }
        co_return sum;
    };
    CHECK(run(in_a_row(), one_worker()) == 1'000'000);
    CHECK(run(deep(1'000'000), one_worker()) == 1'000'000);
}

TEST_CASE("the current worker is read anew after every suspension, on whatever thread the task goes on") {
    config c;
    c.workers = 4;
    runtime rt(c);
    auto const looks = []() -> task<int> {
        int wrong = 0;
        for (int i = 0; i < 500; ++i) {
            detail::worker const* const before = detail::current_worker();
            std::thread::id const thread = std::this_thread::get_id();
            co_await this_task::yield();
            bool const same = std::this_thread::get_id() == thread;
            wrong += same != (detail::current_worker() == before) ? 1 : 0;
        }
        co_return wrong;
    };
    std::vector<join_handle<int>> all;
    for (int i = 0; i < 40; ++i) {
        all.push_back(rt.spawn(looks()));
    }
    for (auto& each : all) {
        each.blocking_wait();
        CHECK(each.result().value() == 0);
    }
}

// A frame that ends its own task: the record is freed while the coroutine is suspended at its end.
TEST_CASE("a frame may be destroyed from inside its final await_suspend") {
    auto const body = []() -> task<> {
        for (int i = 0; i < 1000; ++i) {
            spawn_detached(takes(counted()));
        }
        co_await this_task::yield();
    };
    CHECK(destroyed_too_often(body) == 0);
}

}  // namespace
