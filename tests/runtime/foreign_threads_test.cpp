// What threads that are no workers bring: spawn, post, block_on, cancel, blocking_wait. TH-10 to TH-12.

#include <magpie/runtime/runtime.hpp>

#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<int> value(int v) {
    co_return v;
}

TEST_CASE("TH-10: a foreign thread spawns, waits, reads the value, the error, the cancellation") {
    runtime rt(threads(2));
    auto good = rt.spawn(value(3));
    good.blocking_wait();
    CHECK(good.result().value() == 3);
    auto const fails = []() -> task<> {
        throw std::runtime_error("e");
        co_return;
    };
    auto bad = rt.spawn(fails);
    bad.blocking_wait();  // throws nothing of the task's
    CHECK_THROWS_WITH(bad.result().value(), "e");
    auto gone = rt.spawn(sleep(1h));
    CHECK(gone.cancel());
    gone.blocking_wait();
    CHECK(gone.cancelled());
}

TEST_CASE("TH-11: ten threads spawn at once; every task runs once") {
    runtime rt(threads(3));
    std::atomic<unsigned> ran{0};
    std::vector<std::thread> spawners;
    unsigned const each = rounds(5000);
    for (int t = 0; t < 10; ++t) {
        spawners.emplace_back([&] {
            auto const counts = [](std::atomic<unsigned>& into) -> task<> {
                ++into;
                co_return;
            };
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < each; ++i) {
                all.push_back(rt.spawn(counts, std::ref(ran)));
            }
            for (auto& h : all) {
                h.blocking_wait();
            }
        });
    }
    for (auto& t : spawners) {
        t.join();
    }
    CHECK(ran == 10 * each);
    CHECK(rt.snapshot().tasks_spawned == 10 * each);
    until([&] { return rt.snapshot().tasks_live == 0; });
}

TEST_CASE("TH-12: a post wakes a parked loop; 'hello' comes before 'world'") {
    for (unsigned const workers : {1U, 2U}) {
        std::mutex lock;  // outlives the workers: the last of them may still be in unlock() when its count is seen
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(2000); ++r) {
            std::string said;
            std::atomic<int> count{0};
            auto const says = [&](char const* word) {
                return [&, word] {
                    std::lock_guard const guard(lock);
                    said += word;
                    ++count;
                };
            };
            rt.post(says("hello"));
            rt.post(says(" world"));
            until([&] { return count == 2; });
            REQUIRE(said == "hello world");
        }
    }
}

TEST_CASE("post: what one thread posts begins in order, on any number of workers, each function once") {
    for (unsigned const workers : {1U, 2U, 4U}) {
        CAPTURE(workers);
        unsigned const n = rounds(50'000);
        constexpr unsigned posters = 3;
        std::vector<std::atomic<unsigned>> next(posters);
        std::atomic<unsigned> out_of_order{0};
        std::atomic<unsigned> ran{0};
        {
            runtime rt(threads(workers));
            std::vector<std::thread> all;
            for (unsigned p = 0; p < posters; ++p) {
                all.emplace_back([&, p] {
                    for (unsigned i = 0; i < n; ++i) {
                        rt.post([&, p, i] {
                            // i functions of this thread have begun before, as many as there are workers may not have
                            // come as far as this line
                            unsigned const before = next[p].fetch_add(1);
                            out_of_order += before + workers <= i ? 1U : 0U;
                            ++ran;
                        });
                    }
                });
            }
            for (auto& each : all) {
                each.join();
            }
        }
        CHECK(ran == posters * n);  // the end of the runtime runs what was posted before it
        CHECK(out_of_order == 0);
    }
}

TEST_CASE("post: from a task, and from a posted function") {
    std::vector<int> order;
    runtime rt(simulated());
    auto const body = [&]() -> task<> {
        rt.post([&] {
            order.push_back(1);
            rt.post([&] { order.push_back(3); });
        });
        rt.post([&] { order.push_back(2); });
        co_await sleep(1ns);
    };
    rt.block_on(body());
    CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("post: what the function throws goes to on_unhandled, once; the next one runs") {
    event_log log;
    config c = simulated();
    c.hooks.on_unhandled = log.listener();
    bool ran = false;
    {
        runtime rt(c);
        rt.post([] { throw std::runtime_error("posted"); });
        rt.post([&] { ran = true; });
    }
    CHECK(ran);
    REQUIRE(log.size() == 1);
    CHECK(log.entries()[0].error.find("posted") != std::string::npos);
}

TEST_CASE("post: a function that may only be moved, destroyed after it ran, exactly once") {
    tally count;
    {
        runtime rt(threads(2));
        for (int i = 0; i < 100; ++i) {
            rt.post([kept = std::make_unique<token>(count)] { (void)kept; });
        }
    }
    CHECK(count.alive == 0);
    CHECK(count.made == 100);
}

// One round: the workers have gone to sleep or are about to; a foreign thread brings one task. Were the wake-up lost,
// the round would never end.
void no_wake_up_lost(runtime& rt, unsigned n) {
    std::atomic<unsigned> ran{0};
    auto const counts = [](std::atomic<unsigned>& into) -> task<> {
        into.fetch_add(1);
        co_return;
    };
    for (unsigned i = 0; i < n; ++i) {
        rt.spawn(counts, std::ref(ran)).detach();
        until([&] { return ran.load() == i + 1; });
        // From nothing to a few hundred nanoseconds: through the moments in which a worker parks.
        for (unsigned gap = 0; gap < (i * 37) % 512; ++gap) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
    }
}

TEST_CASE("TH-12: no wake-up is lost: a hundred thousand single tasks against workers that go to sleep") {
    for (unsigned const workers : {1U, 2U, 4U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.spin = workers == 2 ? c.spin : 0ns;  // without the spin every round parks
        runtime rt(c);
        no_wake_up_lost(rt, rounds(workers == 1 ? 60'000 : 20'000));
    }
}

TEST_CASE("TH-12: no wake-up is lost for pinned tasks, which only their own worker can run") {
    config c = threads(4);
    c.spin = 0ns;
    runtime rt(c);
    for (unsigned i = 0; i < rounds(20'000); ++i) {
        auto h = rt.spawn(value(1), {.pinned = true});  // the homes go round
        h.blocking_wait();
    }
}

TEST_CASE("TH-10: two foreign threads wait for one task, and a third one cancels it") {
    runtime rt(threads(2));
    for (unsigned r = 0; r < rounds(500); ++r) {
        auto h = rt.spawn(sleep(1h)).share();
        std::thread a([h] { h.blocking_wait(); });
        std::thread b([h] { h.blocking_wait(); });
        std::thread c([h] { h.cancel(); });
        h.blocking_wait();
        a.join();
        b.join();
        c.join();
        CHECK(h.cancelled());
    }
}

TEST_CASE("TH-10: the thread that wakes the last task may still be at it when the runtime goes") {
    for (bool const pinned : {false, true}) {
        for (unsigned r = 0; r < rounds(2000); ++r) {
            std::thread waker;
            {
                runtime rt(threads(2));
                auto h = rt.spawn(sleep(1h), {.pinned = pinned}).share();
                waker = std::thread([h] { h.cancel(); });
                h.blocking_wait();
            }
            waker.join();
        }
    }
}

TEST_CASE("foreign threads and the simulated clock: what they bring is run by whoever drives it") {
    runtime rt(simulated());
    auto h = rt.spawn(value(5));
    CHECK_FALSE(h.done());
    rt.block_on(sleep(1h));
    CHECK(h.done());
    auto g = rt.spawn(value(6));
    g.blocking_wait();
    CHECK(g.result().value() == 6);
}

TEST_CASE("RUN-03: a thread of one's own, started by a task, may run a runtime of its own") {
    auto const body = []() -> task<int> {
        int got = 0;
        std::thread helper([&] { got = run(value(8), simulated()); });
        helper.join();
        co_return got;
    };
    CHECK(run(body(), threads(1)) == 8);
}

}  // namespace
