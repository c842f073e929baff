// Workers that are stuck in one task. No test asks how fast a rescue is: a task spins until what only a rescue can bring
// about has happened, and a test that hangs is a test that fails.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <source_location>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Sleeps on the worker that spawns it eagerly.
task<> naps(std::atomic<unsigned>& woken) {
    co_await sleep(1ms);
    woken.fetch_add(1);
}

TEST_CASE("the timers of a worker that computes fire on another") {
    for (unsigned const workers : {2U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        unsigned const n = rounds(200);
        for (unsigned r = 0; r < 5; ++r) {
            auto const computes = [&]() -> task<> {
                std::atomic<unsigned> woken{0};
                std::vector<join_handle<void>> all;
                for (unsigned i = 0; i < n; ++i) {
                    all.push_back(spawn(naps(woken), {.eager = true}));
                }
                until([&] { return woken == n; });
                for (auto& each : all) {
                    co_await std::move(each);
                }
            };
            rt.block_on(computes());
        }
        metrics const m = rt.snapshot();
        CHECK(m.stalls >= 5);
        CHECK(m.totals().rescues >= 1);
        CHECK(m.totals().timers_taken_over >= 1);
        CHECK(m.totals().timers == 0);
    }
}

TEST_CASE("a task that gave way to one that computes goes on on another worker, though that one slept") {
    runtime rt(threads(2));
    std::atomic<bool> resumed{false};
    auto const computes = [&]() -> task<> {
        until([&] { return resumed.load(); });
        co_return;
    };
    auto const gives_way = [&]() -> task<> {
        auto h = spawn(computes(), {.pinned = true});  // nobody is woken for it
        co_await this_task::yield();
        resumed = true;
        co_await std::move(h);
    };
    for (unsigned i = 0; i < 20; ++i) {
        resumed = false;
        std::this_thread::sleep_for(20ms);
        rt.block_on(gives_way());
    }
}

TEST_CASE("a blocking system call in a task holds up the sleepers of its worker no more than a computation") {
    runtime rt(threads(2));
    std::atomic<unsigned> woken{0};
    auto const blocks = [&]() -> task<> {
        auto one = spawn(naps(woken), {.eager = true});
        while (woken != 1) {
            std::this_thread::sleep_for(20ms);
        }
        co_await std::move(one);
    };
    rt.block_on(blocks());
    CHECK(rt.snapshot().totals().timers_taken_over == 1);
}

TEST_CASE("the children of a gather whose first child computes run on another worker, all of them") {
    for (unsigned const workers : {2U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < 10; ++r) {
            constexpr unsigned n = 100;
            std::atomic<unsigned> ended{0};
            auto const child = [](std::atomic<unsigned>& count, unsigned i) -> task<> {
                if (i == 0) {
                    until([&] { return count == n - 1; });
                }
                count.fetch_add(1);
                co_return;
            };
            auto const body = [&]() -> task<> {
                std::vector<task<>> all;
                for (unsigned i = 0; i < n; ++i) {
                    all.push_back(child(ended, i));
                }
                co_await gather(std::move(all));
            };
            rt.block_on(body());
            CHECK(ended == n);
        }
    }
}

// The monitor alone would wake nobody: nothing is stranded.
TEST_CASE("one idle worker, and only one, watches over a worker that is stuck") {
    for (unsigned const workers : {2U, 4U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const sleeps = [&] {
            std::vector<std::uint64_t> parks;
            for (worker_metrics const& each : rt.snapshot().workers) {
                parks.push_back(each.parks);
            }
            return parks;
        };
        auto const computes = [&]() -> task<> {
            until([&] { return rt.snapshot().stalls == 1; });
            auto const before = sleeps();
            auto const slept = [&](std::uint64_t times) {  // how many workers have, so many times
                auto const now = sleeps();
                std::size_t count = 0;
                for (std::size_t i = 0; i < now.size(); ++i) {
                    count += now[i] >= before[i] + times ? 1 : 0;
                }
                return count;
            };
            until([&] { return slept(20) != 0; });
            CHECK(slept(10) == 1);
            co_return;
        };
        rt.block_on(computes());
        CHECK(rt.snapshot().totals().rescues == 0);
    }
}

TEST_CASE("while all workers are stuck a spare one runs what is ready, and hands back what completes on its loop") {
    for (unsigned const workers : {2U, 3U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < 5; ++r) {
            std::atomic<unsigned> hogs{0};
            std::atomic<unsigned> steps{0};
            std::atomic<bool> over{false};
            auto const computes = [&]() -> task<> {
                hogs.fetch_add(1);
                until([&] { return over.load(); });
                co_return;
            };
            auto const steps_on = [&]() -> task<> {
                for (unsigned i = 0; i < 10; ++i) {
                    steps.fetch_add(1);
                    co_await sleep(100us);
                }
            };
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < workers; ++i) {
                all.push_back(rt.spawn(computes()));
            }
            until([&] { return hogs == workers; });
            auto walker = rt.spawn(steps_on());
            until([&] { return steps >= 1; });
            over = true;
            for (auto& each : all) {
                each.blocking_wait();
            }
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
    std::atomic<unsigned> hogs{0};
    std::atomic<bool> over{false};
    auto const computes = [&]() -> task<> {
        hogs.fetch_add(1);
        until([&] { return over.load(); });
        co_return;
    };
    auto first = rt.spawn(computes());
    auto second = rt.spawn(computes());
    until([&] { return hogs == 2; });
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
    over = true;
    spawner.blocking_wait();
    first.blocking_wait();
    second.blocking_wait();
    CHECK(spawned_on == 3);
    CHECK(ran_on < 2);
}

TEST_CASE("without a spare worker, or with one worker, what is ready waits for the first that comes back") {
    config none = threads(2);
    none.spare_worker = false;
    for (config const& c : {none, threads(1)}) {
        CAPTURE(c.workers);
        runtime rt(c);
        std::atomic<unsigned> hogs{0};
        std::atomic<bool> over{false};
        std::atomic<bool> ran_early{false};
        auto const computes = [&]() -> task<> {
            hogs.fetch_add(1);
            until([&] { return over.load(); });
            co_return;
        };
        auto const runs = [&]() -> task<> {
            ran_early = !over.load();
            co_return;
        };
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < c.workers; ++i) {
            all.push_back(rt.spawn(computes()));
        }
        until([&] { return hogs == c.workers; });
        all.push_back(rt.spawn(runs()));
        std::this_thread::sleep_for(20ms);  // time enough to be lent, were somebody lending
        over = true;
        for (auto& each : all) {
            each.blocking_wait();
        }
        CHECK_FALSE(ran_early);
        CHECK(rt.snapshot().workers.size() == c.workers);
    }
}

TEST_CASE("DBG-01: on_stall names the task, where it was spawned, and how long it held its worker") {
    config c = threads(2);
    c.stall_threshold = 2ms;
    std::mutex lock;
    std::vector<event_info> seen;
    std::string name;
    std::string context;
    std::atomic<unsigned> told{0};
    c.hooks.on_stall = [&](event_info const& info) {
        std::lock_guard const guard(lock);
        if (info.name != "hog") {
            return;  // the machine took the CPU away from somebody else
        }
        seen.push_back(info);
        name = info.name;
        context = info.context;
        told.fetch_add(1);
    };
    runtime rt(c);
    std::atomic<unsigned> woken{0};
    auto const computes = [&]() -> task<> {
        auto one = spawn(naps(woken), {.eager = true});
        until([&] { return woken == 1; });
        co_return;
    };
    auto const here = std::source_location::current();
    auto h = rt.spawn(computes(), {.name = "hog"});
    h.blocking_wait();
    until([&] { return told != 0; });
    std::lock_guard const guard(lock);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].id == h.id());
    CHECK(seen[0].where.line() == here.line() + 1);
    CHECK(seen[0].age >= 2ms);
    CHECK(seen[0].error == nullptr);
    CHECK(name == "hog");
    CHECK(context.find("held its worker for") != std::string::npos);
}

TEST_CASE("with rescue off, or without a threshold, nobody is called stuck") {
    config off = threads(2);
    off.rescue = false;
    config without = threads(2);
    without.stall_threshold = 0s;
    for (config const& c : {off, without}) {
        runtime rt(c);
        std::atomic<bool> over{false};
        auto const computes = [&]() -> task<> {
            until([&] { return over.load(); });
            co_return;
        };
        auto h = rt.spawn(computes());
        std::this_thread::sleep_for(20ms);  // time enough to be noticed, were somebody looking
        over = true;
        h.blocking_wait();
        CHECK(rt.snapshot().stalls == 0);
        CHECK(rt.snapshot().totals().rescues == 0);
    }
}

TEST_CASE("stalls come and go on all workers while everything else goes on: nothing is lost, nothing runs twice") {
    config c = threads(4);
    std::atomic<unsigned> stalls{0};
    c.hooks.on_stall = [&](event_info const&) { stalls.fetch_add(1); };
    runtime rt(c);
    std::atomic<unsigned> ended{0};
    unsigned const n = rounds(4000);
    auto const mixed = [](std::atomic<unsigned>& count, unsigned i) -> task<> {
        for (unsigned k = 0; k < 3; ++k) {
            co_await sleep(std::chrono::microseconds((i * 37 + k * 101) % 3000));
            if ((i + k) % 200 == 0) {
                auto const limit = std::chrono::steady_clock::now() + 3ms;
                while (std::chrono::steady_clock::now() < limit) {}
            }
        }
        count.fetch_add(1);
    };
    auto const body = [&]() -> task<> {
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < n; ++i) {
            all.push_back(spawn(mixed, std::ref(ended), i));
        }
        for (unsigned i = 0; i < n; ++i) {
            if (i % 7 == 0) {
                all[i].cancel();
            }
        }
        for (auto& each : all) {
            try {
                co_await std::move(each);
            } catch (child_cancelled const&) {
                ended.fetch_add(1);
            }
        }
    };
    rt.block_on(body());
    CHECK(ended == n);
    CHECK(rt.snapshot().totals().timers == 0);
}

}  // namespace
