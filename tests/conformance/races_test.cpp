// Rows that are proven exactly on the simulated clock elsewhere: what must hold of them on two and eight workers,
// whoever comes first.

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/rate_limiter.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/with_cleanup.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> yields(unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("CAN-32, BEY-13: requests at any moment, two of them: a cleanup runs once, whole, and no request is lost") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        struct story {
            std::atomic<bool> body{false};
            std::atomic<int> begun{0};
            std::atomic<int> ended{0};
            std::atomic<bool> met{false};
        };
        auto const cleans = [](story& s) -> task<> {
            ++s.begun;
            co_await yields(3);
            co_await sleep(1us);
            ++s.ended;
        };
        auto const works = [](story& s, unsigned i) -> task<> {
            s.body = true;
            co_await yields(i % 4);
            if (i % 3 == 0) {
                throw oops("body");
            }
        };
        auto const owner = [&](story& s, unsigned i) -> task<> {
            try {
                co_await with_cleanup(works(s, i), [&] { return cleans(s); });
            } catch (oops const&) {
            } catch (task_cancelled const&) {
                s.met = true;
                throw;
            }
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                s.met = true;
                throw;
            }
        };
        bool right = true;
        for (unsigned i = 0; i < rounds(3000); ++i) {
            story s;
            auto h = rt.spawn(owner(s, i));
            some_moments(i % 23);
            bool const first = h.cancel();
            some_moments(i % 7);
            h.cancel();
            h.blocking_wait();
            right = right && first && h.cancelled() && s.begun == s.ended && s.begun <= 1;
            right = right && (!s.body || (s.begun == 1 && s.met));
        }
        CHECK(right);
    }
}

template <class Queue>
void conserves(Queue& q, unsigned workers) {
    runtime rt(threads(workers));
    constexpr int producers = 4;
    unsigned const each = rounds(1500);
    std::atomic<long> put{0};
    std::atomic<long> got{0};
    auto const puts = [&](int value) -> task<> {
        co_await q.put(value);
        put += value;  // not suspended in between: it is in, and nobody has been told otherwise
    };
    auto const gets = [&]() -> task<> { got += co_await q.get(); };
    auto const storm = [&](int from) {
        for (unsigned i = 0; i < each; ++i) {
            auto a = rt.spawn(puts(from + static_cast<int>(i)));
            auto b = rt.spawn(gets());
            some_moments(i % 3);
            (i % 2 == 0 ? a : b).cancel();
            if (i % 5 == 0) {
                a.cancel();
                b.cancel();
            }
            a.detach();
            b.detach();
        }
    };
    std::vector<std::thread> all;
    for (int i = 0; i < producers; ++i) {
        all.emplace_back(storm, 1 + i * 100'000);
    }
    for (auto& thread : all) {
        thread.join();
    }
    // Whoever is left waits for room, or for an item: it is given what it needs until nobody is left.
    until([&] {
        while (auto item = q.try_get()) {
            got += *item;
        }
        if (rt.tasks().empty()) {
            return true;
        }
        if (q.try_put(0)) {
            std::this_thread::yield();
        }
        return false;
    });
    while (auto item = q.try_get()) {
        got += *item;
    }
    CHECK(put == got);
}

TEST_CASE("Q-05, Q-10, Q-12: putters and getters cancelled at any moment: no item is lost, and nobody waits for ever") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        for (std::size_t const capacity : {1U, 3U}) {
            queue<int> q(capacity);
            conserves(q, workers);
        }
    }
}

TEST_CASE("Q-11: three getters, two items, one getter cancelled: both items arrive, also when it had one already") {
    for (bool const cancel_first : {true, false}) {
        CAPTURE(cancel_first);
        auto const body = [&]() -> task<> {
            queue<int> q;
            trace seen;
            auto const gets = [&](std::string name) -> task<> {
                int const item = co_await q.get();
                seen.push_back(name + std::to_string(item));
            };
            auto a = spawn(gets("a"));
            auto b = spawn(gets("b"));
            auto c = spawn(gets("c"));
            co_await sleep(1ms);
            if (cancel_first) {
                a.cancel();
            }
            q.try_put(1);
            q.try_put(2);
            if (!cancel_first) {
                a.cancel();  // it has its item, and keeps it
            }
            co_await sleep(1ms);
            CHECK(seen == (cancel_first ? trace{"b1", "c2"} : trace{"a1", "b2"}));
            CHECK(a.cancelled() == cancel_first);
            CHECK(q.size() == 0);
            c.cancel();
        };
        run(body(), simulated());
    }
}

TEST_CASE("BEY-26, TG-22: bounded spawning from several children while one fails: never too many, and nobody hangs") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(600); ++i) {
            std::atomic<int> inside{0};
            std::atomic<int> most{0};
            auto const child = [&](unsigned k) -> task<> {
                int const here = inside.fetch_add(1) + 1;
                int seen = most.load();
                while (here > seen && !most.compare_exchange_weak(seen, here)) {}
                co_await yields(k % 3);
                inside.fetch_sub(1);
                if (k == 50 + i % 50) {
                    throw oops("x");
                }
            };
            auto const produces = [&](task_group& g, unsigned from) -> task<> {
                for (unsigned k = 0; k < 40; ++k) {
                    co_await g.spawn_bounded(child(from + k), 6);
                }
            };
            auto const body = [&]() -> task<> {
                auto const block = [&](task_group& g) {
                    for (unsigned p = 0; p < 3; ++p) {
                        g.spawn(produces(g, p * 40));
                    }
                };
                std::size_t errors = 0;
                try {
                    co_await with_task_group(block);
                } catch (exception_group const& e) {
                    errors = e.size();
                }
                CHECK(errors == 1);
            };
            rt.block_on(body());
            CHECK(most <= 6);
        }
    }
}

TEST_CASE("BEY-08: a rate limiter with callers that give up, on two and eight workers: never faster, nobody hangs") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        constexpr double rate = 50'000;
        constexpr int burst = 5;
        rate_limiter limiter(rate, burst);
        std::atomic<long> passed{0};
        auto const passes = [&]() -> task<> {
            co_await limiter.acquire();
            ++passed;
        };
        auto const start = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < rounds(3000); ++i) {
            auto a = rt.spawn(passes());
            auto b = rt.spawn(passes());
            some_moments(i % 5);
            a.cancel();
            b.blocking_wait();
        }
        until([&] { return rt.tasks().empty(); });
        std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
        CHECK(static_cast<double>(passed) <= burst + rate * took.count() + 1);
        CHECK(passed >= static_cast<long>(rounds(3000)));
    }
}

TEST_CASE("SEM-06, LOCK-06, BEY-27: a grant against a deadline, on two and eight workers: no permit, no lock is lost") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        semaphore permits(2);
        magpie::mutex lock;
        int inside = 0;  // under the lock: a plain number
        std::atomic<int> holders{0};
        auto const takes = [&](unsigned i) -> task<> {
            for (unsigned k = 0; k < 30; ++k) {
                auto const limit = std::chrono::microseconds(1 + (i + k) % 9);
                try {
                    auto const permit = co_await timeout(limit, permits.acquire());
                    CHECK(holders.fetch_add(1) < 2);
                    co_await this_task::yield();
                    holders.fetch_sub(1);
                } catch (timeout_error const&) {
                }
                try {
                    auto const guard = co_await timeout(limit, lock.lock());
                    int const before = inside++;
                    co_await this_task::yield();
                    CHECK(--inside == before);
                } catch (timeout_error const&) {
                }
            }
        };
        auto const body = [&]() -> task<> {
            co_await gather(std::views::iota(0U, 16U) | std::views::transform(takes));
        };
        for (unsigned i = 0; i < rounds(60); ++i) {
            rt.block_on(body());
            CHECK((permits.available() == 2 && permits.waiting() == 0));
            CHECK((!lock.locked() && lock.waiting() == 0));
        }
        CHECK(inside == 0);
    }
}

TEST_CASE("children of a pinned task stay on its worker, whatever combinator makes them") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<int> strays{0};
        auto const body = [&]() -> task<> {
            unsigned const home = this_task::worker();
            auto const child = [&, home](int i) -> task<int> {
                for (int k = 0; k < 3; ++k) {
                    strays += this_task::worker() == home ? 0 : 1;
                    co_await this_task::yield();
                }
                strays += this_task::worker() == home ? 0 : 1;
                co_return i;
            };
            co_await gather(std::views::iota(0, 20) | std::views::transform(child));
            co_await gather(std::views::iota(0, 20) | std::views::transform(child), {.limit = 4});
            auto const block = [&](task_group& g) -> task<> {
                for (int i = 0; i < 10; ++i) {
                    g.spawn(child(i));
                    co_await g.spawn_bounded(child(i), 5);
                }
            };
            co_await with_task_group(block);
            std::vector<int> const numbers{1, 2, 3, 4, 5, 6, 7, 8};
            co_await batch(numbers, child, {.limit = 3});
            strays += this_task::worker() == home ? 0 : 1;
        };
        for (unsigned i = 0; i < rounds(100); ++i) {
            auto h = rt.spawn(body(), {.pinned = true});
            auto other = rt.spawn(yields(50));
            h.blocking_wait();
            CHECK(h.result().has_value());
            other.blocking_wait();
        }
        CHECK(strays == 0);
    }
}

}  // namespace
