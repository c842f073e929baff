#include <magpie/combinators/to_thread.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("TH-01: runs on another thread, gives the value, and the task goes on on a worker") {
    auto const body = []() -> task<> {
        auto const caller = std::this_thread::get_id();
        auto const thread = co_await to_thread([] { return std::this_thread::get_id(); });
        CHECK(thread != caller);
        CHECK(std::this_thread::get_id() == caller);  // one worker
        CHECK(co_await to_thread([](int a, std::unique_ptr<int> b) { return a + *b; }, 1, std::make_unique<int>(2)) == 3);
        std::string text = "a";
        auto const refers = [&]() -> std::string& { return text; };
        (co_await to_thread(refers)) += "b";
        CHECK(text == "ab");
        auto const moves = [] { return std::make_unique<int>(5); };
        CHECK(*co_await to_thread(moves) == 5);
    };
    run(body(), simulated());
    run(body(), threads(1));
}

TEST_CASE("TH-02: an exception crosses with its type") {
    auto const body = []() -> task<> {
        auto const fails = [] { throw oops("there"); };
        CHECK_THROWS_WITH_AS(co_await to_thread(fails), "there", oops);
        CHECK_THROWS_WITH_AS(co_await to_thread(abandon_on_cancel, fails), "there", oops);
    };
    run(body(), simulated());
}

TEST_CASE("TH-03, TH-09: every call runs once, and no more at a time than there are threads") {
    config c = threads(2);
    c.blocking_threads = 4;
    std::atomic<int> ran{0};
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    auto const call = [&](int i) {
        int const now_inside = inside.fetch_add(1) + 1;
        int seen = most.load();
        while (now_inside > seen && !most.compare_exchange_weak(seen, now_inside)) {
        }
        ran.fetch_add(1);
        std::this_thread::yield();
        inside.fetch_sub(1);
        return i;
    };
    auto const body = [&]() -> task<> {
        auto const v = co_await gather(std::views::iota(0, 1000) | std::views::transform([&](int i) {
                                           return to_thread(call, i);
                                       }));
        bool in_order = true;
        for (int i = 0; i < 1000; ++i) {
            in_order = in_order && v[static_cast<std::size_t>(i)] == i;
        }
        CHECK(in_order);
    };
    run(body(), c);
    CHECK(ran == 1000);
    CHECK(most <= 4);
}

// A blocking function that the test lets go on.
struct gate {
    std::atomic<bool> entered{false};
    std::atomic<bool> open{false};
    void pass() {
        entered = true;
        until([this] { return open.load(); });
    }
    void await_entry() {
        until([this] { return entered.load(); });
    }
};

TEST_CASE("TH-05: cancelling waits for the function; its value is given and the request stays pending") {
    runtime rt(threads(2));
    gate g;
    std::atomic<int> got{0};
    std::atomic<bool> reached{false};
    auto const calls = [&]() -> task<> {
        got = co_await to_thread([&] {
            g.pass();
            return 7;
        });
        co_await this_task::yield();
        reached = true;
    };
    auto h = rt.spawn(calls());
    g.await_entry();
    CHECK(h.cancel());
    CHECK(h.cancel());
    CHECK_FALSE(h.done());
    g.open = true;
    h.blocking_wait();
    CHECK(got == 7);
    CHECK(h.cancelled());
    CHECK_FALSE(reached);
}

TEST_CASE("BEY-17: a function that takes a stop_token sees the request") {
    runtime rt(threads(2));
    std::atomic<bool> entered{false};
    auto const polls = [&](magpie::stop_token token, int value) {
        entered = true;
        until([&] { return token.stop_requested(); });
        return value;
    };
    auto waits = rt.spawn([&]() -> task<int> { co_return co_await to_thread(polls, 8); });
    until([&] { return entered.load(); });
    waits.cancel();
    waits.blocking_wait();
    CHECK(waits.result().value() == 8);
}

TEST_CASE("a call that no thread has begun is dropped by a cancellation, in both modes") {
    config c = threads(1);
    c.blocking_threads = 1;
    runtime rt(c);
    gate g;
    std::atomic<int> ran{0};
    auto const occupies = [&]() -> task<> { co_await to_thread([&] { g.pass(); }); };
    auto const waits = [&]() -> task<> { co_await to_thread([&] { ran.fetch_add(1); }); };
    auto const leaves = [&]() -> task<> { co_await to_thread(abandon_on_cancel, [&] { ran.fetch_add(1); }); };
    auto first = rt.spawn(occupies());
    g.await_entry();
    auto a = rt.spawn(waits());
    auto b = rt.spawn(leaves());
    until([&] { return rt.snapshot().blocking_queue == 2; });
    a.cancel();
    b.cancel();
    b.blocking_wait();  // at once: the thread is still busy
    CHECK(b.cancelled());
    CHECK_FALSE(a.done());
    g.open = true;
    a.blocking_wait();
    first.blocking_wait();
    CHECK(a.cancelled());
    CHECK(ran == 0);
}

TEST_CASE("TH-05, TH-06: an abandoned call goes on; what it leaves is destroyed on its thread, once") {
    tally t;
    gate g;
    std::atomic<bool> stopped{false};
    std::atomic<bool> on_pool{false};
    struct probe {
        token counted;
        std::atomic<bool>* told;
        std::thread::id home;
        probe(tally& of, std::atomic<bool>& by) : counted(of), told(&by), home(std::this_thread::get_id()) {}
        probe(probe&&) = default;
        ~probe() { told->store(std::this_thread::get_id() == home); }
    };
    {
        runtime rt(threads(2));
        auto const call = [&](magpie::stop_token token) {
            g.pass();
            stopped = token.stop_requested();
            return probe(t, on_pool);
        };
        auto h = rt.spawn([&]() -> task<> { (void)co_await to_thread(abandon_on_cancel, call); });
        g.await_entry();
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled());
        CHECK(t.made == 0);
        g.open = true;
    }  // the runtime waits for it
    CHECK(stopped);
    CHECK(t.made == 1);
    CHECK(t.alive == 0);
    CHECK(on_pool);
}

TEST_CASE("completion and cancellation at once: a value or a cancellation, never both, never neither") {
    runtime rt(threads(2));
    for (unsigned i = 0; i < rounds(2000); ++i) {
        tally t;
        auto h = rt.spawn([&]() -> task<> { (void)co_await to_thread(abandon_on_cancel, [&] { return token(t); }); });
        auto k = rt.spawn([&]() -> task<> { (void)co_await to_thread([&] { return token(t); }); });
        h.cancel();
        k.cancel();
        h.blocking_wait();
        k.blocking_wait();
        until([&] { return rt.snapshot().blocking_queue == 0 && rt.snapshot().blocking_busy == 0; });
        CHECK(t.alive == 0);
    }
}

TEST_CASE("under the simulated clock time stands still while a call is out") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto h = spawn(nap(1h));
        co_await to_thread([] { std::this_thread::yield(); });
        CHECK(watch.ms() == 0);
        h.cancel();
    };
    run(body(), simulated());
}

TEST_CASE("TASK-14: a task awaits a std::future on the blocking pool; a thread waits for a task, and cancels it") {
    runtime rt(threads(2));
    auto const body = []() -> task<int> {
        std::promise<int> p;
        auto get = [f = p.get_future()]() mutable { return f.get(); };
        auto h = spawn(to_thread(std::ref(get)));
        p.set_value(3);
        co_return co_await std::move(h);
    };
    auto h = rt.spawn(body());
    h.blocking_wait();
    CHECK(h.result().value() == 3);
    auto sleeps = rt.spawn(sleep(1h));
    CHECK(sleeps.cancel());
    sleeps.blocking_wait();
    CHECK(sleeps.cancelled());
}

} // namespace
