// Workers that are stuck in one task. No test asks how fast a rescue is: a task spins until what only a rescue can bring
// about has happened, and a test that hangs is a test that fails.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/stall_monitor.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/inside.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <mutex>
#include <source_location>
#include <string>
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
    detail::scheduler& shared = scheduler_of(rt);
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
        until([&] { return shared.idle.parked() == 2; });
        rt.block_on(gives_way());
    }
}

TEST_CASE("a blocking system call in a task holds up the sleepers of its worker no more than a computation") {
    runtime rt(threads(2));
    std::latch woken(1);
    auto const wakes = [&]() -> task<> {
        co_await sleep(1ms);
        woken.count_down();
    };
    auto const blocks = [&]() -> task<> {
        auto one = spawn(wakes(), {.eager = true});
        woken.wait();
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

TEST_CASE("what is ready behind a task that computes runs on another worker, also if none is ever idle") {
    for (unsigned const workers : {2U, 4U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.spare_worker = false;
        runtime rt(c);
        unsigned const n = rounds(400);  // more than a run queue holds, and is taken at once
        std::atomic<unsigned> ran{0};
        std::atomic<unsigned> turns{0};
        std::atomic<bool> over{false};
        auto const busy = [&]() -> task<> {
            while (!over) {
                turns.fetch_add(1);
                co_await this_task::yield();
            }
        };
        auto const quick = [&]() -> task<> {
            ran.fetch_add(1);
            co_return;
        };
        auto const computes = [&]() -> task<> {
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(quick()));
            }
            until([&] { return ran == n; });
            over = true;
            for (auto& each : all) {
                co_await std::move(each);
            }
        };
        std::vector<join_handle<void>> storm;
        for (unsigned i = 0; i < 2 * workers; ++i) {
            storm.push_back(rt.spawn(busy()));
        }
        until([&] { return turns > 1000; });
        rt.block_on(computes());
        for (auto& each : storm) {
            each.blocking_wait();
        }
        CHECK(rt.snapshot().totals().tasks_stolen >= 1);
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
        bool seen = false;
        auto const computes = [&]() -> task<> {
            auto const stalls = rt.snapshot().stalls;
            until([&] { return rt.snapshot().stalls != stalls; });
            auto const before = sleeps();
            auto const slept = [&](std::uint64_t times) {  // how many workers have, so many times
                auto const now = sleeps();
                std::size_t count = 0;
                for (std::size_t i = 0; i < now.size(); ++i) {
                    count += now[i] >= before[i] + times ? 1 : 0;
                }
                return count;
            };
            // It does not watch for ever if there is nothing to do, and the machine may stand still meanwhile.
            auto const gives_up = std::chrono::steady_clock::now() + 60ms;
            until([&] { return slept(5) != 0 || std::chrono::steady_clock::now() > gives_up; });
            // One that is kept from its CPU is relieved by another: not every time.
            seen = slept(5) != 0 && slept(3) == 1;
            co_return;
        };
        until([&] {
            rt.block_on(computes());
            return seen;
        });
        CHECK(rt.snapshot().totals().rescues == 0);
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
        runtime watched(threads(2));
        auto noticed = watched.spawn(computes());
        until([&] { return watched.snapshot().stalls >= 1; });  // so the other would have been, were somebody looking
        over = true;
        h.blocking_wait();
        noticed.blocking_wait();
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
