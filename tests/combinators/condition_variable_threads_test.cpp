// condition_variable on several workers: no notification is lost, whoever is cancelled when.

#include <magpie/combinators/condition_variable.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Coins that are waited for under a mutex.
struct purse {
    magpie::mutex m;
    condition_variable filled;
    int coins = 0;

    task<> take_one() {
        auto guard = co_await m.lock();
        co_await filled.wait(guard, [&] { return coins > 0; });
        --coins;
    }
    task<> add(int n) {
        auto const guard = co_await m.lock();
        coins += n;
        filled.notify(static_cast<std::size_t>(n));
    }
    task<bool> empty() {
        auto const guard = co_await m.lock();
        co_return coins == 0;
    }
};

TEST_CASE("COND-12: as many are notified as there are coins, and half of them are cancelled: every coin is taken") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned round = 0; round < rounds(2000); ++round) {
                purse p;
                std::vector<join_handle<void>> t;
                for (int i = 0; i < 8; ++i) {
                    t.push_back(spawn(p.take_one()));
                }
                while (p.filled.waiting() != t.size()) {
                    co_await this_task::yield();
                }
                auto adds = spawn(p.add(2));
                auto const cancels = [&]() -> task<> {
                    for (std::size_t i = 0; i < 4; ++i) {
                        t[i].cancel();
                        if (round % 3 == 0) {
                            co_await this_task::yield();
                        }
                    }
                };
                auto c = spawn(cancels());
                co_await p.add(2);
                co_await std::move(adds);
                co_await std::move(c);
                // Those who are left are as many as the coins, so a coin that stays was somebody's lost notification.
                auto const limit = std::chrono::steady_clock::now() + std::chrono::minutes{2};
                while (!co_await p.empty()) {
                    if (std::chrono::steady_clock::now() > limit) {
                        FAIL("a coin stays: a notification was lost");
                    }
                    co_await this_task::yield();
                }
                for (auto& each : t) {
                    each.cancel();
                }
                for (auto& each : t) {
                    try {
                        co_await each;
                    } catch (child_cancelled const&) {
                    }
                }
                CHECK_FALSE(p.m.locked());
            }
        };
        rt.block_on(body());
    }
}

TEST_CASE("COND-07: notified from a foreign thread, without the mutex") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        magpie::mutex m;
        condition_variable cv;
        int gone_on = 0;  // under the mutex
        auto const waits = [&]() -> task<> {
            auto guard = co_await m.lock();
            co_await cv.wait(guard);
            ++gone_on;
        };
        unsigned const total = rounds(2000);
        std::vector<join_handle<void>> t;
        for (unsigned i = 0; i < total; ++i) {
            t.push_back(rt.spawn(waits()));
        }
        until([&] { return cv.waiting() == total; });
        for (unsigned i = 0; i < total / 2; ++i) {
            cv.notify_one();
        }
        until([&] { return cv.waiting() == total - total / 2; });
        cv.notify_all();
        for (auto& each : t) {
            each.blocking_wait();
        }
        CHECK(gone_on == static_cast<int>(total));
    }
}

TEST_CASE("COND-03: notify, cancel and lock at once: every wait ends with the mutex held by its task") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned round = 0; round < rounds(1500); ++round) {
                magpie::mutex m;
                condition_variable cv;
                long plain = 0;
                std::atomic<long> ended{0};
                auto const waits = [&]() -> task<> {
                    auto guard = co_await m.lock();
                    try {
                        co_await cv.wait(guard);
                    } catch (task_cancelled const&) {
                        ++plain;
                        ended.fetch_add(1);
                        throw;
                    }
                    ++plain;
                    ended.fetch_add(1);
                };
                std::vector<join_handle<void>> t;
                for (int i = 0; i < 6; ++i) {
                    t.push_back(spawn(waits()));
                }
                auto const notifies = [&]() -> task<> {
                    for (int i = 0; i < 3; ++i) {
                        cv.notify(2);
                        co_await this_task::yield();
                    }
                };
                auto n = spawn(notifies());
                for (std::size_t i = 0; i < t.size(); i += 2) {
                    t[i].cancel();
                }
                co_await std::move(n);
                for (auto& each : t) {
                    while (!each.done()) {
                        cv.notify_all();
                        co_await this_task::yield();
                    }
                }
                CHECK(plain == ended);
                CHECK_FALSE(m.locked());
                CHECK(cv.waiting() == 0);
            }
        };
        rt.block_on(body());
    }
}

} // namespace
