#include <magpie/runtime/join_handle.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
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

using trace = std::vector<std::string>;

static_assert(!std::is_copy_constructible_v<join_handle<int>> && std::is_nothrow_move_constructible_v<join_handle<int>>);
static_assert(std::is_copy_constructible_v<shared_handle<int>>);
static_assert(std::is_copy_constructible_v<handle_ref>);

struct no_default {
    explicit no_default(std::unique_ptr<int> v) : value(std::move(v)) {}
    std::unique_ptr<int> value;
};

task<no_default> makes(int v) {
    co_await this_task::yield();
    co_return no_default(std::make_unique<int>(v));
}

task<int> value(int v) {
    co_await this_task::yield();
    co_return v;
}

task<int> fails() {
    co_await this_task::yield();
    throw std::runtime_error("failed");
}

task<> sleeps() {
    co_await sleep(1h);
}

task<int&> refers(int& x) {
    co_return x;
}

// ------------------------------------------------------------------------------------------------ awaiting

TEST_CASE("join_handle: an rvalue is awaited for the value itself, an lvalue for a reference into the task") {
    auto const body = []() -> task<int> {
        auto h = spawn(makes(5));
        no_default& inside = co_await h;
        *inside.value += 1;
        no_default& again = co_await h;
        CHECK(&inside == &again);
        no_default const out = co_await std::move(h);
        CHECK_FALSE(h.valid());
        co_return *out.value;
    };
    CHECK(run(body(), simulated()) == 6);
    CHECK(run(body(), threads(2)) == 6);
}

TEST_CASE("join_handle: of a task that returns a reference") {
    int x = 3;
    auto const body = [&]() -> task<bool> {
        auto h = spawn(refers(x));
        int& a = co_await h;
        int& b = co_await std::move(h);
        co_return &a == &x && &b == &x;
    };
    CHECK(run(body(), simulated()));
}

TEST_CASE("TASK-09: an error is rethrown at each await of an lvalue, and by result().value()") {
    auto const body = []() -> task<int> {
        int caught = 0;
        auto h = spawn(fails());
        for (int i = 0; i < 2; ++i) {
            try {
                (void)co_await h;
            } catch (std::runtime_error const&) {
                ++caught;
            }
        }
        CHECK_THROWS_WITH((void)h.result().value(), "failed");
        co_return caught;
    };
    CHECK(run(body(), simulated()) == 2);
}

TEST_CASE("TASK-23: a task ends with a value, an error or cancelled; result() tells which, and throws before the end") {
    auto const body = []() -> task<> {
        auto good = spawn(value(1));
        auto bad = spawn(fails());
        auto gone = spawn(sleeps());
        CHECK_FALSE(good.done());
        CHECK_THROWS_AS((void)good.result(), usage_error);
        co_await sleep(1ns);
        CHECK(gone.cancel());
        co_await sleep(1ns);
        CHECK((good.done() && bad.done() && gone.done()));
        CHECK((good.result().has_value() && !good.cancelled() && !good.result().cancelled()));
        CHECK((!bad.result().has_value() && !bad.cancelled() && bad.result().error() != nullptr));
        CHECK((!gone.result().has_value() && gone.cancelled() && gone.result().cancelled()));
        CHECK_THROWS_AS(gone.result().value(), child_cancelled);
    };
    run(body(), simulated());
}

TEST_CASE("D4: who awaits a task that others cancelled gets child_cancelled, which names it, and is not cancelled itself") {
    auto const body = []() -> task<std::string> {
        auto h = spawn(sleeps(), {.name = "the sleeper"});
        h.cancel();
        std::string said;
        try {
            co_await std::move(h);
        } catch (child_cancelled const& e) {
            said = e.what();
        }
        CHECK(this_task::cancelling() == 0);
        co_await this_task::yield();
        co_return said;
    };
    CHECK(run(body(), simulated()).find("the sleeper") != std::string::npos);
}

task<> awaits_itself(join_handle<void>** self, trace& seen) {
    co_await this_task::yield();
    try {
        co_await **self;
    } catch (usage_error const&) {
        seen.emplace_back("usage_error");
    }
}

TEST_CASE("CAN-28: a task that awaits itself gets usage_error, and goes on") {
    trace seen;
    join_handle<void> h;
    join_handle<void>* self = &h;
    runtime rt(simulated());
    h = rt.spawn(awaits_itself(&self, seen));
    h.blocking_wait();
    CHECK(h.result().has_value());
    CHECK(seen == trace{"usage_error"});
}

// ------------------------------------------------------------------------------------------------ shared_handle, handle_ref

task<bool> reads(shared_handle<no_default> from, no_default const** address) {
    no_default const& v = co_await from;
    *address = &v;
    co_return *v.value == 9;
}

TEST_CASE("TASK-09: several tasks await a shared_handle; each gets the same value") {
    auto const body = []() -> task<bool> {
        auto shared = spawn(makes(9)).share();
        std::vector<no_default const*> seen(5);
        std::vector<join_handle<bool>> readers;
        for (auto& each : seen) {
            readers.push_back(spawn(reads(shared, &each)));
        }
        bool ok = true;
        for (auto& each : readers) {
            bool const right = co_await std::move(each);
            ok = ok && right;
        }
        for (auto const* each : seen) {
            ok = ok && each == &shared.result().value();
        }
        co_return ok;
    };
    CHECK(run(body(), simulated()));
    CHECK(run(body(), threads(4)));
}

TEST_CASE("CAN-12, D19: cancelling one awaiter of a shared_handle ends its wait only") {
    auto const waits = [](shared_handle<int> on) -> task<int> { co_return co_await on; };
    auto const body = [&]() -> task<int> {
        auto const slow = []() -> task<int> {
            co_await sleep(1s);
            co_return 4;
        };
        auto shared = spawn(slow).share();
        auto a = spawn(waits, shared);
        auto b = spawn(waits, shared);
        co_await sleep(1ms);
        a.cancel();
        co_await sleep(1ms);
        CHECK(a.cancelled());
        CHECK_FALSE(shared.done());
        CHECK_FALSE(b.done());
        co_return co_await std::move(b);
    };
    CHECK(run(body(), simulated()) == 4);
}

TEST_CASE("handle_ref: refers to the task, whatever becomes of the handle; cancels, compares") {
    auto const body = []() -> task<> {
        auto h = spawn(sleeps(), {.name = "n"});
        handle_ref const ref = h.ref();
        handle_ref const same = h.ref();
        auto other = spawn(sleeps());
        CHECK(ref == same);
        CHECK_FALSE(ref == other.ref());
        CHECK_FALSE(handle_ref().valid());
        auto moved = std::move(h);
        CHECK((ref.valid() && ref.id() == moved.id() && ref.name() == "n"));
        moved.detach();
        co_await sleep(1ns);
        CHECK_FALSE(ref.done());
        CHECK(ref.cancel());
        co_await sleep(1ns);
        CHECK((ref.done() && ref.cancelled()));
        CHECK_FALSE(ref.cancel());
        other.cancel();
    };
    run(body(), simulated());
}

TEST_CASE("TASK-07, BEY-16: dropping the handle detaches: the task goes on, owned by the runtime") {
    std::atomic<int> ended{0};
    auto const slow = [](std::atomic<int>& count) -> task<> {
        co_await sleep(1s);
        ++count;
    };
    auto const body = [&]() -> task<> {
        { auto const dropped = spawn(slow, std::ref(ended)); }
        spawn(slow, std::ref(ended)).detach();
        auto overwritten = spawn(slow, std::ref(ended));
        overwritten = {};
        co_await sleep(2s);
    };
    run(body(), simulated());
    CHECK(ended == 3);
}

TEST_CASE("join_handle: outlives its runtime") {
    join_handle<std::string> h;
    handle_ref ref;
    auto const text = []() -> task<std::string> { co_return "kept"; };
    {
        runtime rt(threads(2));
        h = rt.spawn(text, {.name = "n"});
        h.blocking_wait();
        ref = h.ref();
    }
    CHECK((h.done() && !h.cancelled() && !h.cancel()));
    CHECK(h.result().value() == "kept");
    CHECK(h.name() == "n");
    h.blocking_wait();
    h = {};
    CHECK(ref.done());
    runtime rt(simulated());
    auto again = rt.spawn(value(2));
    rt.block_on(sleep(1s));
    CHECK(rt.block_on(std::move(again)) == 2);
}

TEST_CASE("TASK-24: a task of one runtime may await a task of another, and cancels it") {
    runtime a(threads(2));
    runtime b(threads(2));
    for (unsigned i = 0; i < rounds(2000); ++i) {
        auto inner = b.spawn(value(static_cast<int>(i)));
        auto const awaits = [](join_handle<int> h) -> task<int> { co_return co_await std::move(h); };
        auto outer = a.spawn(awaits, std::move(inner));
        outer.blocking_wait();
        REQUIRE(outer.result().value() == static_cast<int>(i));
    }
    auto const waits = [](join_handle<void> h, std::atomic<bool>& started) -> task<> {
        started = true;
        co_await std::move(h);
    };
    for (unsigned i = 0; i < rounds(1000); ++i) {
        std::atomic<bool> started{false};
        auto inner = b.spawn(sleeps());
        handle_ref const watched = inner.ref();
        auto outer = a.spawn(waits, std::move(inner), std::ref(started));
        until([&] { return started.load(); });
        CHECK(outer.cancel());
        outer.blocking_wait();
        REQUIRE(outer.cancelled());
        REQUIRE(watched.cancelled());
    }
}

}  // namespace
