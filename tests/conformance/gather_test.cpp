// Rows about gather that concern several workers, or several runtimes.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>
#include <runtime/support/allocations.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("GATHER-09: handles of tasks on every worker, and of another runtime, are gathered") {
    runtime rt(threads(4));
    runtime other(threads(2));
    auto const where = [](std::atomic<int>& arrived, int all) -> task<unsigned> {
        arrived.fetch_add(1);
        until([&] { return arrived.load() >= all; });  // so each of them has a worker of its own
        co_return this_task::worker();
    };
    auto const body = [&]() -> task<> {
        std::atomic<int> arrived{0};
        auto a = spawn(where, std::ref(arrived), 3);
        auto b = spawn(where, std::ref(arrived), 3);
        auto c = spawn(where, std::ref(arrived), 3);
        auto foreign = other.spawn(after(1ms, 7));
        auto [x, y, z, seven] = co_await gather(std::move(a), std::move(b), std::move(c), std::move(foreign));
        CHECK((x != y && y != z && x != z));
        CHECK(seven == 7);
        // The error of one cancels the other, across runtimes too.
        auto sleeper = other.spawn(nap(1h));
        bool thrown = false;
        try {
            co_await gather(sleeper, fails_after(1ms, "here"));
        } catch (oops const&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(sleeper.cancelled());
    };
    for (unsigned i = 0; i < rounds(100); ++i) {
        rt.block_on(body());
    }
}

TEST_CASE("GATHER-29: with four workers four children are all begun while the first still runs") {
    // Whether an idle worker is seen in time is chance (docs/life_of_a_steal.md), so once in many rounds is asked for.
    runtime rt(threads(4));
    auto const meets = [](std::atomic<unsigned>& arrived, bool& all, time_point limit) -> task<> {
        arrived.fetch_add(1);
        while (arrived.load() != 4 && now() < limit) {
            std::this_thread::yield();
        }
        all = all || arrived.load() == 4;
        co_return;
    };
    bool met = false;
    auto const body = [&]() -> task<> {
        std::atomic<unsigned> arrived{0};
        bool all[4] = {};
        time_point const limit = now() + 100ms;
        co_await gather(meets(arrived, all[0], limit), meets(arrived, all[1], limit), meets(arrived, all[2], limit),
                        meets(arrived, all[3], limit));
        CHECK(arrived == 4);
        met = all[0] && all[1] && all[2] && all[3];
    };
    until([&] {
        rt.block_on(body());
        return met;
    });
}

task<int> fails_at_once() {
    throw oops("at once");
    co_return 0;
}

// How a gather that has the handle of a running task behind a failure ends, and what has become of that task then.
template <class Gather>
task<bool> ends_it(Gather gathers) {
    auto running = spawn(after(1h, 1));
    co_await sleep(1ms);
    handle_ref const seen = running.ref();
    bool thrown = false;
    try {
        co_await gathers(std::move(running));
    } catch (oops const&) {
        thrown = true;
    }
    co_return thrown && seen.cancelled();
}

TEST_CASE("GATHER-04, GATHER-05: a running task behind a failure is cancelled and joined, though not yet awaited") {
    auto const body = []() -> task<> {
        auto const in_place = [](join_handle<int> h) -> task<> { co_await gather(fails_at_once(), h); };
        auto const moved_in = [](join_handle<int> h) -> task<> { co_await gather(fails_at_once(), std::move(h)); };
        auto const in_a_range = [](join_handle<int> h) -> task<> {
            std::vector<join_handle<int>> both;
            both.push_back(spawn(fails_at_once()));
            both.push_back(std::move(h));
            co_await sleep(1ms);
            co_await gather(std::move(both));
        };
        bool const a = co_await ends_it(in_place);
        bool const b = co_await ends_it(moved_in);
        bool const c = co_await ends_it(in_a_range);
        CHECK((a && b && c));
    };
    run(body(), simulated());
    for (unsigned const workers : {1U, 2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(20); ++i) {
            rt.block_on(body());
        }
    }
}

TEST_CASE("GATHER-14, CAN-10: a request that is pending when handles are gathered is passed on to their tasks, once") {
    auto const body = [](bool settles) -> task<> {
        int deliveries = 0;
        bool ran = false;
        auto const resists_once = [&]() -> task<int> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                ++deliveries;
            }
            co_await sleep(5ms);  // a second request would end this
            co_return 1;
        };
        auto const marks = [&]() -> task<int> {
            ran = true;
            co_return 2;
        };
        auto const owner = [&](join_handle<int> h) -> task<> {
            this_task::cancel();
            if (settles) {
                co_await gather(settled, std::move(h), marks());
            } else {
                co_await gather(marks(), std::move(h), marks());
            }
        };
        auto h = spawn(resists_once());
        co_await sleep(1ms);
        handle_ref const seen = h.ref();
        stopwatch const watch;
        auto o = spawn(owner(std::move(h)));
        co_await wait_for(o);
        CHECK(o.cancelled());
        CHECK((seen.done() && !seen.cancelled()));
        CHECK(watch.ms() == 5);
        CHECK(deliveries == 1);
        CHECK_FALSE(ran);
    };
    run(body(false), simulated());
    run(body(true), simulated());
}

TEST_CASE("GATHER-05, GATHER-14: errors and requests against handles, on two and eight workers: every task is joined") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.hooks.on_suppressed = [](event_info const&) {};
        runtime rt(c);
        bool right = true;
        for (unsigned i = 0; i < rounds(2000); ++i) {
            tally alive;
            auto const child = [](unsigned k, token) -> task<int> {
                for (unsigned n = 0; n < k % 3; ++n) {
                    co_await this_task::yield();
                }
                if (k % 5 == 0) {
                    throw oops("x");
                }
                co_await sleep(k % 2 == 0 ? duration(1h) : duration(1us));
                co_return 1;
            };
            std::atomic<int> left{-1};
            auto const owner = [&]() -> task<> {
                std::vector<join_handle<int>> all;
                for (unsigned k = 0; k < 6; ++k) {
                    all.push_back(spawn(child(i + k, token(alive))));
                }
                try {
                    co_await gather(std::move(all));
                } catch (oops const&) {
                } catch (...) {
                    left = alive.alive.load();
                    throw;
                }
                left = alive.alive.load();
            };
            auto h = rt.spawn(owner());
            some_moments(i % 16);
            h.cancel();
            h.blocking_wait();
            right = right && (left == 0 || left == -1) && alive.alive == 0;  // -1: cancelled before its first step
        }
        CHECK(right);
    }
}

TEST_CASE("GATHER-32: handles whose tasks have ended: no timer passes, and nobody is counted twice") {
    auto const body = []() -> task<> {
        std::vector<join_handle<int>> handles;
        for (int i = 0; i < 3; ++i) {
            handles.push_back(spawn(after(1ms, i)));
        }
        co_await sleep(2ms);
        time_point const before = now();
        auto const values = co_await gather(handles);
        CHECK(now() == before);
        CHECK((*values.at(0) == 0 && *values.at(2) == 2));
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-32: handles of tasks that are just ending, on two and eight workers: each counts once") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const body = [](unsigned round) -> task<> {
            std::vector<join_handle<int>> handles;
            for (int i = 0; i < 8; ++i) {
                handles.push_back(spawn([](int value, int yields) -> task<int> {
                    for (int k = 0; k < yields; ++k) {
                        co_await this_task::yield();
                    }
                    co_return value;
                }, i, i % 3));
            }
            for (unsigned k = 0; k < round % 4; ++k) {
                co_await this_task::yield();
            }
            auto const values = co_await gather(std::move(handles));
            bool right = values.size() == 8;
            for (int i = 0; right && i < 8; ++i) {
                right = values[static_cast<std::size_t>(i)] == i;
            }
            if (!right) {
                CHECK(false);
            }
        };
        for (unsigned i = 0; i < rounds(2000); ++i) {
            rt.block_on(body(i));
        }
    }
}

TEST_CASE("WAIT-18: polling one long task takes no memory") {
    auto const body = []() -> task<> {
        std::vector<join_handle<>> handles;
        handles.push_back(spawn(nap(1h)));
        std::int64_t before = 0;
        for (unsigned i = 0; i < rounds(20'000); ++i) {
            auto const r = co_await wait(handles, {.timeout = i % 2 == 0 ? duration(0) : duration(1)});
            before = i == 100 ? live_bytes() : before;
        }
        CHECK(live_bytes() - before < 4096);
        handles[0].cancel();
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-15: waiters that are cancelled while the tasks end, on two and eight workers: nobody is told twice") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const ends = [](unsigned yields) -> task<> {
            for (unsigned i = 0; i < yields; ++i) {
                co_await this_task::yield();
            }
        };
        auto const waits = [](std::vector<handle_ref> on, std::atomic<int>& saw) -> task<> {
            auto const r = co_await wait(on);
            saw += static_cast<int>(r.done.size());
        };
        bool right = true;
        for (unsigned i = 0; i < rounds(2000); ++i) {
            std::vector<join_handle<>> tasks;
            std::vector<handle_ref> refs;
            for (unsigned k = 0; k < 6; ++k) {
                tasks.push_back(rt.spawn(ends((i + k) % 4)));
                refs.push_back(tasks.back().ref());
            }
            std::atomic<int> saw{0};
            auto w = rt.spawn(waits, refs, std::ref(saw));
            some_moments(i % 24);
            w.cancel();
            w.blocking_wait();
            right = right && saw == (w.cancelled() ? 0 : 6);
            for (auto& each : tasks) {
                each.blocking_wait();
                right = right && !each.cancelled();
            }
        }
        CHECK(right);
    }
}

task<> takes_one(semaphore& s, std::atomic<int>& passed) {
    auto const permit = co_await s.acquire();
    passed.fetch_add(1);
    co_await sleep(1h);
}

TEST_CASE("SEM-14, SEM-18: release(n) wakes exactly n of those who wait") {
    auto const body = []() -> task<> {
        semaphore s(0);
        std::atomic<int> passed{0};
        std::vector<join_handle<>> all;
        for (int i = 0; i < 5; ++i) {
            all.push_back(spawn(takes_one(s, passed)));
        }
        co_await sleep(1ms);
        s.release(3);
        co_await sleep(1ms);
        CHECK((passed == 3 && s.waiting() == 2));
        for (int i = 0; i < 5; ++i) {
            CHECK(all[static_cast<std::size_t>(i)].cancel());
        }
        co_await sleep(1ms);
        CHECK((s.waiting() == 0 && s.available() == 3));
    };
    run(body(), simulated());
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(200); ++r) {
            semaphore s(0);
            std::atomic<int> passed{0};
            std::vector<join_handle<>> all;
            for (int i = 0; i < 8; ++i) {
                all.push_back(rt.spawn(takes_one(s, passed)));
            }
            s.release(2);  // some wait already, some will
            s.release(3);
            until([&] { return passed == 5 && s.waiting() == 3; });
            for (auto& each : all) {
                each.cancel();
            }
            for (auto& each : all) {
                each.blocking_wait();
            }
            CHECK(passed <= 8);
            CHECK(s.available() == 5);
        }
    }
}

}  // namespace
