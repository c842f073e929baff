#include <magpie/combinators/event.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> waits(event& e, trace& seen, std::string name) {
    co_await e.wait();
    seen.push_back(std::move(name));
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("EV-01, EV-06: set wakes all in the order of the waiting; who comes after it passes at once") {
    auto const body = []() -> task<> {
        event e;
        trace seen;
        auto a = spawn(waits(e, seen, "1"));
        auto b = spawn(waits(e, seen, "2"));
        co_await yields(2);
        CHECK((e.waiting() == 2 && !e.is_set()));
        e.set();
        CHECK((e.waiting() == 0 && e.is_set()));
        CHECK(seen.empty());  // queued, not run
        co_await waits(e, seen, "3");
        co_await yields(1);
        CHECK(seen == trace{"3", "1", "2"});
        CHECK(e.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("EV-02: waiting for a set event does not suspend, and delivers no cancellation") {
    auto const body = []() -> task<> {
        event e;
        e.set();
        trace seen;
        spawn_detached(says(seen, "other"));
        this_task::cancel();
        co_await e.wait();
        this_task::uncancel();
        CHECK(seen.empty());
        CHECK(e.is_set());
    };
    run(body(), simulated());
}

TEST_CASE("EV-03: a cancelled waiter leaves no node") {
    auto const body = []() -> task<> {
        event e;
        trace seen;
        auto a = spawn(waits(e, seen, "1"));
        auto b = spawn(waits(e, seen, "2"));
        co_await yields(2);
        a.cancel();
        co_await yields(1);
        CHECK(a.cancelled());
        CHECK(e.waiting() == 1);
        e.set();
        co_await std::move(b);
        CHECK(seen == trace{"2"});
    };
    run(body(), simulated());
}

TEST_CASE("EV-04, EV-05: set followed by clear wakes everybody who waited, and nobody who comes later") {
    auto const body = []() -> task<> {
        event e;
        trace seen;
        auto a = spawn(waits(e, seen, "1"));
        auto b = spawn(waits(e, seen, "2"));
        co_await yields(2);
        e.set();
        e.clear();
        CHECK_FALSE(e.is_set());
        auto late = spawn(waits(e, seen, "late"));
        co_await yields(2);
        CHECK(seen == trace{"1", "2"});
        CHECK_FALSE(late.done());
        e.set();
        co_await std::move(late);
    };
    run(body(), simulated());
}

TEST_CASE("D9: set first, cancelled second: the wait returns and the request stays pending") {
    auto const body = []() -> task<> {
        event e;
        trace seen;
        auto const waits_twice = [&]() -> task<> {
            co_await e.wait();
            seen.push_back("woken");
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto h = spawn(waits_twice());
        co_await yields(2);
        e.set();
        h.cancel();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(seen == trace{"woken"});
    };
    run(body(), simulated());
}

TEST_CASE("EV-07, BEY-18: a foreign thread sets it; the event may die as soon as the wait has returned") {
    runtime rt(threads(2));
    auto const body = []() -> task<> {
        for (unsigned i = 0; i < rounds(300); ++i) {
            auto e = std::make_unique<event>();
            std::thread setter([at = e.get()] { at->set(); });
            co_await e->wait();
            e.reset();
            setter.join();
        }
    };
    rt.block_on(body());
}

TEST_CASE("every waiter wakes exactly once, whoever sets, clears and cancels") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(200); ++round) {
            event e;
            std::atomic<int> woken{0};
            std::atomic<int> cancelled{0};
            auto const one = [&]() -> task<> {
                try {
                    co_await e.wait();
                    woken.fetch_add(1);
                } catch (task_cancelled const&) {
                    cancelled.fetch_add(1);
                    throw;
                }
            };
            std::vector<join_handle<void>> t;
            for (int i = 0; i < 16; ++i) {
                t.push_back(spawn(one()));
            }
            auto const sets = [&]() -> task<> {
                e.set();
                co_return;
            };
            auto const cancels = [&]() -> task<> {
                for (std::size_t i = 0; i < t.size(); i += 2) {
                    t[i].cancel();
                }
                co_return;
            };
            auto a = spawn(sets());
            auto b = spawn(cancels());
            co_await std::move(a);
            co_await std::move(b);
            int ended = 0;
            for (auto& each : t) {
                try {
                    co_await each;
                } catch (child_cancelled const&) {
                }
                ++ended;
            }
            CHECK(ended == 16);
            CHECK(woken + cancelled <= 16);  // one that never began says nothing
            CHECK(woken >= 8);
            CHECK(e.waiting() == 0);
        }
    };
    rt.block_on(body());
}

} // namespace
