// Rows about cancellation that concern several features at once.

#include <magpie/combinators/event.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Everything that a task can wait for without I/O.
struct primitives {
    event never;
    semaphore permits{0};
    magpie::mutex lock;
    queue<int> empty{1};
    queue<int> full{1};
    shared_handle<int> sleeper;

    bool nobody_waits() const { return never.waiting() == 0 && permits.waiting() == 0; }
};

constexpr int kinds = 7;

task<> waits_for(primitives& p, int kind) {
    switch (kind) {
        case 0: co_await sleep(1h); break;
        case 1: co_await p.never.wait(); break;
        case 2: {
            auto const permit = co_await p.permits.acquire();
            break;
        }
        case 3: {
            auto const guard = co_await p.lock.lock();
            break;
        }
        case 4: (void)co_await p.empty.get(); break;
        case 5: co_await p.full.put(2); break;
        default: (void)co_await p.sleeper; break;
    }
}

TEST_CASE("CAN-04: what a task waits for is cancelled with it, and has let go of it before it resumes") {
    runtime rt(simulated());
    auto const waiter = [&](primitives& p, int kind, bool& alone) -> task<> {
        try {
            co_await waits_for(p, kind);
        } catch (task_cancelled const&) {
            alone = p.nobody_waits() && rt.snapshot().totals().timers == 2;  // the sleeper's and main's
            throw;
        }
    };
    auto const body = [&]() -> task<> {
        primitives p;
        p.full.try_put(1);
        p.sleeper = spawn(after(24h, 7)).share();
        auto held = co_await p.lock.lock();
        for (int kind = 0; kind < kinds; ++kind) {
            CAPTURE(kind);
            bool alone = false;
            auto h = spawn(waiter(p, kind, alone));
            co_await sleep(1ms);
            CHECK_FALSE(h.done());
            CHECK(h.cancel());
            co_await sleep(1ms);
            CHECK(h.cancelled());
            CHECK(alone);
        }
        // Each of them works for the next one, which gets what the cancelled one would have got.
        held.unlock();
        p.never.set();
        p.permits.release();
        CHECK(p.empty.try_put(3));
        CHECK(p.full.try_get() == 1);
        for (int kind = 1; kind < kinds - 1; ++kind) {
            co_await waits_for(p, kind);
        }
        CHECK(p.empty.size() == 0);
        CHECK(p.full.try_get() == 2);
        CHECK_FALSE(p.sleeper.done());
        p.sleeper.cancel();
    };
    rt.block_on(body());
    CHECK(rt.snapshot().totals().timers == 0);
}

task<> counts(std::atomic<int>& deliveries) {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        ++deliveries;
        throw;
    }
}

task<> counts_over(join_handle<void> inner, std::atomic<int>& deliveries) {
    try {
        co_await std::move(inner);
    } catch (task_cancelled const&) {
        ++deliveries;
        throw;
    }
}

TEST_CASE("CAN-05: a task and what it awaits are cancelled at once, in either order: one cancellation for each") {
    auto const body = [](bool inner_first) -> task<> {
        std::atomic<int> inside{0};
        std::atomic<int> outside{0};
        auto inner = spawn(counts(inside));
        auto const inner_ref = inner.ref();
        auto outer = spawn(counts_over(std::move(inner), outside));
        co_await sleep(1ms);
        if (inner_first) {
            CHECK(inner_ref.cancel());
        }
        CHECK(outer.cancel());
        if (!inner_first) {
            CHECK(inner_ref.cancel());
        }
        co_await sleep(1ms);
        CHECK((inner_ref.cancelled() && outer.cancelled()));
        CHECK((inside == 1 && outside == 1));
    };
    run(body(true), simulated());
    run(body(false), simulated());
}

TEST_CASE("CAN-05: the same from two threads, on two and eight workers") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.hooks.on_unhandled = [](event_info const&) {};  // child_cancelled, if the inner one's end was seen first
        runtime rt(c);
        bool right = true;
        for (unsigned r = 0; r < rounds(1000); ++r) {
            std::atomic<int> inside{0};
            std::atomic<int> outside{0};
            auto inner = rt.spawn(counts(inside));
            auto const inner_ref = inner.ref();
            auto outer = rt.spawn(counts_over(std::move(inner), outside));
            std::thread other([&] { inner_ref.cancel(); });
            bool const accepted = outer.cancel();
            other.join();
            outer.blocking_wait();
            until([&] { return inner_ref.done(); });
            right = right && inner_ref.cancelled() && inside <= 1 && outside <= 1;
            right = right && (outer.cancelled() || !outer.result().has_value());
            right = right && (accepted || !outer.cancelled());
        }
        CHECK(right);
    }
}

TEST_CASE("CAN-26: what reaches an awaited thing after its waiter was cancelled harms nobody") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = [&]() -> task<> {
        queue<int> q(1);
        event e;
        auto failing = spawn(fails_after(10ms, "late")).share();
        auto const gets = [&]() -> task<> { (void)co_await q.get(); };
        auto const waits = [&]() -> task<> { co_await e.wait(); };
        auto const joins = [&]() -> task<> { (void)co_await failing; };
        std::vector<join_handle<void>> all;
        all.push_back(spawn(gets()));
        all.push_back(spawn(waits()));
        all.push_back(spawn(joins()));
        co_await sleep(1ms);
        for (auto& each : all) {
            each.cancel();
        }
        q.close();  // in the same turn: the cancelled ones have not run yet
        e.set();
        co_await sleep(1ms);
        for (auto& each : all) {
            CHECK(each.cancelled());
        }
        co_await sleep(20ms);
        CHECK(failing.done());
        CHECK(unhandled.size() == 0);  // somebody can still read it
        CHECK_THROWS_AS(failing.result().value(), oops);
    };
    run(body(), c);
    CHECK(unhandled.size() == 0);
}

TEST_CASE("CAN-26: a task fails while those who await it are cancelled: each sees one of the two, once") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const fails = [](unsigned yields) -> task<int> {
            for (unsigned i = 0; i < yields; ++i) {
                co_await this_task::yield();
            }
            throw oops("x");
        };
        auto const joins = [](shared_handle<int> h, std::atomic<int>& seen) -> task<> {
            try {
                (void)co_await h;
            } catch (oops const&) {
                ++seen;
            } catch (task_cancelled const&) {
                ++seen;
                throw;
            }
        };
        bool right = true;
        for (unsigned r = 0; r < rounds(2000); ++r) {
            std::atomic<int> seen{0};
            auto failing = rt.spawn(fails(r % 4)).share();
            auto a = rt.spawn(joins, failing, std::ref(seen));
            auto b = rt.spawn(joins, failing, std::ref(seen));
            some_moments(r % 32);
            a.cancel();
            b.cancel();
            a.blocking_wait();
            b.blocking_wait();
            failing.blocking_wait();
            int const unstarted = (a.cancelled() ? 1 : 0) + (b.cancelled() ? 1 : 0);
            right = right && seen <= 2 && seen + unstarted >= 2 && failing.result().error() != nullptr;
        }
        CHECK(right);
    }
}

TEST_CASE("CAN-29: a handler for std::exception does not swallow a cancellation") {
    auto const careless = []() -> task<int> {
        try {
            co_await sleep(1h);
        } catch (std::exception const&) {
            co_return 1;
        }
        co_return 2;
    };
    auto const body = [&]() -> task<> {
        auto h = spawn(careless());
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("CAN-20: an error thrown while a cancellation unwinds can carry it as its cause") {
    auto const fails = []() -> task<> {
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            std::throw_with_nested(oops("cleanup"));
        }
    };
    auto const body = [&]() -> task<> {
        auto h = spawn(fails());
        co_await sleep(1ms);
        h.cancel();
        bool caused = false;
        std::string what;
        try {
            co_await std::move(h);
        } catch (oops const& e) {
            what = e.what();
            try {
                std::rethrow_if_nested(e);
            } catch (task_cancelled const&) {
                caused = true;
            }
        }
        CHECK(what == "cleanup");
        CHECK(caused);
        CHECK(this_task::cancelling() == 0);
    };
    run(body(), simulated());
}

}  // namespace
