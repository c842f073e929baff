// Workers together: who is busy holds nobody up, nothing is forgotten, nothing runs twice.

#include <magpie/runtime/scheduler/worker.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> counts(std::atomic<unsigned>& into) {
    into.fetch_add(1);
    co_return;
}

TEST_CASE("LOOP-13: tasks queued behind one that never suspends are run by the other workers") {
    for (unsigned const workers : {2U, 3U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const busy = []() -> task<unsigned> {
            std::atomic<unsigned> ran{0};
            // More than a run queue holds: some overflow.
            for (unsigned i = 0; i < 1000; ++i) {
                spawn_detached(counts(ran));
            }
            until([&] { return ran == 1000; });
            co_return ran.load();
        };
        for (unsigned r = 0; r < rounds(50) + 1; ++r) {
            CHECK(rt.block_on(busy()) == 1000);
        }
    }
}

task<> yields_then_spins(std::atomic<unsigned>& finished, unsigned yields, unsigned wait_for) {
    for (unsigned i = 0; i < yields; ++i) {
        co_await this_task::yield();
    }
    until([&] { return finished.load() >= wait_for; });
    ++finished;
}

TEST_CASE("LOOP-13: one worker less than tasks that spin: those they wait for still get a worker") {
    for (unsigned const workers : {2U, 3U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(1000); ++r) {
            std::atomic<unsigned> finished{0};
            std::vector<join_handle<void>> all;
            // Task i ends when i others have: at most workers - 1 of them ever spin at a time, if the one that may end
            // is found.
            for (unsigned i = 0; i < workers; ++i) {
                unsigned const order = (i + r) % workers;
                all.push_back(rt.spawn(yields_then_spins(finished, (r * 7 + i * 3) % 5, order)));
            }
            for (auto& each : all) {
                each.blocking_wait();
            }
            REQUIRE(finished == workers);
        }
    }
}

TEST_CASE("LOOP-13: work that comes from a worker and from outside at once, while the third one goes to sleep") {
    config c = threads(3);
    c.spin = 0ns;
    runtime rt(c);
    for (unsigned r = 0; r < rounds(3000); ++r) {
        std::atomic<unsigned> inner{0};
        auto const spawner = [](std::atomic<unsigned>& ran) -> task<> {
            spawn_detached(counts(ran));
            until([&] { return ran.load() >= 1; });  // on another worker
            co_return;
        };
        auto const spinner = [](std::atomic<unsigned>& ran) -> task<> {
            until([&] { return ran.load() >= 1; });
            co_return;
        };
        auto a = rt.spawn(spawner, std::ref(inner));
        for (unsigned gap = 0; gap < (r * 13) % 256; ++gap) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        auto b = rt.spawn(spinner, std::ref(inner));
        a.blocking_wait();
        b.blocking_wait();
        until([&] { return inner == 1; });
    }
}

task<> tree(std::atomic<unsigned>& leaves, unsigned depth) {
    if (depth == 0) {
        ++leaves;
        co_return;
    }
    auto left = spawn(tree(leaves, depth - 1));
    auto right = spawn(tree(leaves, depth - 1));
    co_await std::move(left);
    co_await std::move(right);
}

TEST_CASE("stampede: a tree of tasks over one to eight workers; each leaf once") {
    for (unsigned workers = 1; workers <= 8; ++workers) {
        CAPTURE(workers);
        std::atomic<unsigned> leaves{0};
        unsigned const depth = sanitized ? 9 : 12;
        run(tree(leaves, depth), threads(workers));
        CHECK(leaves == 1U << depth);
    }
}

TEST_CASE("BEY-23: no starvation: yielding tasks, pinned or not, and freshly spawned ones all make progress") {
    for (unsigned const workers : {1U, 2U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<bool> stop{false};
        std::vector<std::unique_ptr<std::atomic<unsigned>>> turns;
        std::vector<join_handle<void>> all;
        auto const spins = [](std::atomic<unsigned>& mine, std::atomic<bool>& end) -> task<> {
            while (!end) {
                ++mine;
                co_await this_task::yield();
            }
        };
        for (unsigned i = 0; i < 20; ++i) {
            turns.push_back(std::make_unique<std::atomic<unsigned>>(0));
            all.push_back(rt.spawn({.pinned = i % 2 == 0}, spins, std::ref(*turns.back()), std::ref(stop)));
        }
        for (auto const& each : turns) {
            until([&] { return *each > 100; });
        }
        std::atomic<unsigned> ran{0};
        rt.spawn(counts(ran)).blocking_wait();
        rt.spawn(counts(ran), {.pinned = true}).blocking_wait();
        stop = true;
        for (auto& each : all) {
            each.blocking_wait();
        }
        CHECK(ran == 2);
    }
}

TEST_CASE("the simulated clock: exactly repeatable, and a seed decides the order") {
    auto const order_of = [](std::uint64_t seed) {
        std::vector<int> order;
        auto const speaks = [](std::vector<int>& into, int i) -> task<> {
            for (int k = 0; k < 3; ++k) {
                into.push_back(i);
                if (i % 2 == 0) {
                    co_await sleep(std::chrono::nanoseconds(i % 4));
                } else {
                    co_await this_task::yield();
                }
            }
        };
        auto const body = [&]() -> task<> {
            for (int i = 0; i < 20; ++i) {
                spawn_detached(speaks, std::ref(order), i);
            }
            co_await sleep(1s);
        };
        run(body(), simulated(seed));
        return order;
    };
    CHECK(order_of(0).size() == 60);
    CHECK(order_of(0) == order_of(0));
    CHECK(order_of(7) == order_of(7));
    CHECK(order_of(7) != order_of(0));
    CHECK(order_of(7) != order_of(8));
}

}  // namespace
