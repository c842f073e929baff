// The primitives belong to no loop and to no runtime: tasks of two runtimes, each on its own workers, meet at one.

#include <magpie/combinators/barrier.hpp>
#include <magpie/combinators/condition_variable.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/combinators/latch.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/future.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Two runtimes, and what runs in both.
struct pair {
    explicit pair(unsigned workers) : first(threads(workers)), second(threads(workers)) {}

    template <class Make>
    void run_in_both(int times, Make make) {
        std::vector<join_handle<void>> t;
        for (int i = 0; i < times; ++i) {
            t.push_back(first.spawn(make(0)));
            t.push_back(second.spawn(make(1)));
        }
        for (auto& each : t) {
            each.blocking_wait();
            CHECK(each.result().has_value());
        }
    }

    runtime first;
    runtime second;
};

TEST_CASE("SEM-16: two semaphores pass a turn between two runtimes; a mutex keeps their tasks apart") {
    for (unsigned workers : {2U, 8U}) {
        pair both(workers);
        int const count = static_cast<int>(rounds(1000));
        semaphore turns[2]{semaphore(1), semaphore(0)};
        int passed = 0;  // handed over with the turn
        both.run_in_both(1, [&](int own) -> task<> {
            for (int i = 0; i < count; ++i) {
                auto p = co_await turns[own].acquire();
                p.forget();
                ++passed;
                turns[1 - own].release();
            }
        });
        CHECK(passed == 2 * count);
        magpie::mutex m;
        long plain = 0;
        both.run_in_both(4, [&](int) -> task<> {
            for (int i = 0; i < count; ++i) {
                auto const guard = co_await m.lock();
                ++plain;
            }
        });
        CHECK(plain == 8 * count);
    }
}

TEST_CASE("BEY-18: a queue, an event, a condition, a barrier, a latch and a future between two runtimes") {
    for (unsigned workers : {2U, 8U}) {
        pair both(workers);
        int const count = static_cast<int>(rounds(500));
        queue<int> q(2);
        magpie::barrier all(4);
        magpie::latch ended(4);
        event go;
        magpie::mutex m;
        condition_variable changed;
        int level = 0;  // under the mutex
        promise<int> answer;
        auto question = answer.get_future();
        std::atomic<int> sum{0};
        auto const runs = [&](int own) -> task<> {
            co_await go.wait();
            for (int i = 0; i < count; ++i) {
                if (own == 0) {
                    co_await q.put(1);
                } else {
                    sum.fetch_add(co_await q.get());
                }
                co_await all.arrive_and_wait();
            }
            {
                auto guard = co_await m.lock();
                ++level;
                changed.notify_all();
                co_await changed.wait(guard, [&] { return level == 4; });
            }
            if (own == 1) {
                answer.try_set_value(42);
            }
            sum.fetch_add(co_await question);
            co_await ended.arrive_and_wait();
        };
        std::vector<join_handle<void>> t;
        for (int i = 0; i < 2; ++i) {
            t.push_back(both.first.spawn(runs(0)));
            t.push_back(both.second.spawn(runs(1)));
        }
        go.set();
        ended.blocking_wait();
        for (auto& each : t) {
            each.blocking_wait();
        }
        CHECK(sum == 2 * count + 4 * 42);
    }
}

} // namespace
