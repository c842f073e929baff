#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include <runtime/support/inside.hpp>
#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Nothing moves by itself: where a task is, it was sent.
config without_stealing(unsigned workers) {
    config c = threads(workers);
    c.steal = false;
    return c;
}

task<> nothing() {
    co_return;
}

// Holds up its worker until it is let go.
class blocker {
public:
    task<> block(unsigned on) {
        co_await detail::move_to_worker(on);
        entered_ = true;
        until([&] { return free_.load(); });
    }
    bool entered() const { return entered_; }
    void let_go() { free_ = true; }

private:
    std::atomic<bool> entered_{false};
    std::atomic<bool> free_{false};
};

TEST_CASE("a task can be sent to each worker, asleep or awake") {
    config c = without_stealing(4);
    c.stall_threshold = 1h;  // a worker that the machine holds up is not stuck
    runtime rt(c);
    auto const goes_round = []() -> task<> {
        CHECK(detail::worker_count() == 4);
        for (unsigned i = 0; i < rounds(200); ++i) {
            co_await detail::move_to_worker(i);
            CHECK(this_task::worker() == i % 4);
        }
    };
    for (unsigned i = 0; i < 5; ++i) {
        rt.block_on(goes_round());
    }
    CHECK(rt.snapshot().totals().tasks_placed >= rounds(200));
}

TEST_CASE("many tasks that are sent about at once all arrive, while thieves move them, too") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<unsigned> steps{0};
        auto const goes_round = [&](unsigned first) -> task<> {
            for (unsigned i = 0; i < 50; ++i) {
                co_await detail::move_to_worker(first + i);
                steps.fetch_add(1);
            }
        };
        unsigned const n = rounds(400);
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < n; ++i) {
            all.push_back(rt.spawn(goes_round(i)));
        }
        for (auto& each : all) {
            each.blocking_wait();
        }
        CHECK(steps == 50 * n);
    }
}

TEST_CASE("a pinned task stays, and nothing is sent about without rescue") {
    runtime rt(without_stealing(2));
    auto const stays = []() -> task<> {
        unsigned const here = this_task::worker();
        co_await detail::move_to_worker(here + 1);
        CHECK(this_task::worker() == here);
    };
    rt.spawn(stays(), {.pinned = true}).blocking_wait();

    config c = without_stealing(2);
    c.rescue = false;
    runtime other(c);
    auto const stays_with_work = [&]() -> task<> {
        co_await stays();
        for (int i = 0; i < 100; ++i) {
            spawn_detached(nothing());
        }
        CHECK(&detail::lightest_worker() == detail::current_worker());
    };
    other.block_on(stays_with_work());
}

TEST_CASE("the lightest worker is this one, unless it has clearly more to do") {
    config c = without_stealing(2);
    c.stall_threshold = 1h;  // a worker that the machine holds up is not stuck
    runtime rt(c);
    auto const main = []() -> task<> {
        CHECK(&detail::lightest_worker() == detail::current_worker());
        for (int i = 0; i < 100; ++i) {
            spawn_detached(nothing());
        }
        CHECK(detail::lightest_worker().index() == 1 - this_task::worker());
        co_return;
    };
    rt.block_on(main());
}

TEST_CASE("a worker that is stuck is not chosen, even if it has less to do") {
    config c = without_stealing(2);  // of three the other free one would be lighter anyhow
    c.hooks.on_stall = [](event_info const&) {};
    runtime rt(c);
    blocker stuck;
    auto const main = [&]() -> task<> {
        co_await detail::move_to_worker(0);
        for (int i = 0; i < 100; ++i) {
            spawn_detached(nothing());
        }
        for (int i = 0; i < 100; ++i) {
            CHECK(&detail::lightest_worker() == detail::current_worker());
        }
    };
    auto blocked = rt.spawn(stuck.block(1));
    until([&] { return stuck.entered(); });
    detail::scheduler& shared = scheduler_of(rt);
    until([&] { return shared.at(1).is_stuck(); });
    rt.block_on(main());
    stuck.let_go();
    blocked.blocking_wait();
}

TEST_CASE("what was sent to a worker that is stuck runs on another") {
    for (bool const steal : {false, true}) {
        CAPTURE(steal);
        config c = threads(2);
        c.steal = steal;
        c.hooks.on_stall = [](event_info const&) {};
        runtime rt(c);
        for (unsigned r = 0; r < 10; ++r) {
            blocker stuck;
            auto blocked = rt.spawn(stuck.block(1));
            until([&] { return stuck.entered(); });
            auto const follows = [&]() -> task<> {
                co_await detail::move_to_worker(0);
                co_await detail::move_to_worker(1);
                stuck.let_go();
            };
            rt.spawn(follows()).blocking_wait();
            blocked.blocking_wait();
        }
    }
}

}  // namespace
