// The spare worker, which is lent while all others are stuck in one task each.

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// A task on each worker that keeps it until release().
class hogs {
public:
    explicit hogs(runtime& rt) {
        for (unsigned i = 0; i < rt.workers(); ++i) {
            all_.push_back(rt.spawn(holds()));
        }
        until([&] { return begun_ == all_.size(); });
    }
    void release() {
        over_ = true;
        for (auto& each : all_) {
            each.blocking_wait();
        }
    }

private:
    task<> holds() {
        begun_.fetch_add(1);
        until([&] { return over_.load(); });
        co_return;
    }

    std::atomic<unsigned> begun_{0};
    std::atomic<bool> over_{false};
    std::vector<join_handle<void>> all_;
};

TEST_CASE("while all workers are stuck a spare one runs what is ready, and hands back what completes on its loop") {
    for (unsigned const workers : {2U, 3U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < 5; ++r) {
            std::atomic<unsigned> steps{0};
            auto const steps_on = [&]() -> task<> {
                for (unsigned i = 0; i < 10; ++i) {
                    steps.fetch_add(1);
                    co_await sleep(100us);
                }
            };
            hogs stuck(rt);
            auto walker = rt.spawn(steps_on());
            until([&] { return steps >= 1; });
            stuck.release();
            walker.blocking_wait();
            CHECK(steps == 10);
        }
        CHECK(rt.snapshot().workers.size() == workers + 1);
        CHECK(rt.workers() == workers);
        CHECK(rt.snapshot().totals().timers == 0);
    }
}

TEST_CASE("a task that is spawned pinned on the spare worker has a real one for its home") {
    runtime rt(threads(2));
    hogs stuck(rt);
    std::atomic<unsigned> spawned_on{0};
    std::atomic<unsigned> ran_on{9};
    auto const where = [&]() -> task<> {
        ran_on = detail::current_worker()->index();
        co_return;
    };
    auto const spawns = [&]() -> task<> {
        spawned_on = detail::current_worker()->index() + 1;
        CHECK(this_task::worker() < 2);
        co_await spawn(where(), {.pinned = true});
    };
    auto spawner = rt.spawn(spawns());
    until([&] { return spawned_on != 0; });
    stuck.release();
    spawner.blocking_wait();
    CHECK(spawned_on == 3);
    CHECK(ran_on < 2);
}

TEST_CASE("without a spare worker, or with one worker, what is ready waits for the first that comes back") {
    config none = threads(2);
    none.spare_worker = false;
    for (config const& c : {none, threads(1)}) {
        CAPTURE(c.workers);
        runtime rt(c);
        std::atomic<unsigned> ran{0};
        auto const runs = [&]() -> task<> {
            ran.fetch_add(1);
            co_return;
        };
        hogs stuck(rt);
        auto waits = rt.spawn(runs());
        runtime lends(threads(2));
        hogs stuck_too(lends);
        lends.spawn(runs()).blocking_wait();  // so the other would have lent one by now, had it any
        CHECK(ran == 1);
        stuck_too.release();
        stuck.release();
        waits.blocking_wait();
        CHECK(rt.snapshot().workers.size() == c.workers);
    }
}

}  // namespace
