// What holds for a queue in every order: the whole interface, and what cancelling, closing and threads do to it.

#include <magpie/combinators/lifo_queue.hpp>
#include <magpie/combinators/priority_queue.hpp>
#include <magpie/combinators/queue.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

#define ALL_QUEUES(T) magpie::queue<T>, magpie::lifo_queue<T>, magpie::priority_queue<T>

// Counted, and refuses to be copied when it is told to.
struct fragile {
    fragile(int n, tally& of) : number(n), counted(of) {}
    fragile(fragile const& other) : number(other.number), counted(other.counted) {
        if (number < 0) {
            throw oops("copied");
        }
    }
    fragile(fragile&& other) noexcept = default;
    std::strong_ordering operator<=>(fragile const& other) const { return number <=> other.number; }
    int number;
    token counted;
};

TEST_CASE_TEMPLATE("Q-02, Q-04: capacity, room and size", Queue, ALL_QUEUES(int)) {
    Queue q(2);
    CHECK(q.empty());
    CHECK(q.capacity() == 2);
    CHECK(q.try_put(1));
    CHECK(q.try_put(1));
    CHECK(q.full());
    CHECK(q.size() == 2);
    CHECK_FALSE(q.try_put(1));
    CHECK(q.unfinished() == 2);
    CHECK(q.try_get() == 1);
    CHECK(q.try_get() == 1);
    CHECK_FALSE(q.try_get().has_value());
    Queue unbounded;
    for (int i = 0; i < 100; ++i) {
        CHECK(unbounded.try_put(i));
    }
    CHECK_FALSE(unbounded.full());
}

struct alignas(64) wide {
    int number = 0;
    bool operator<(wide const& other) const { return number < other.number; }
    bool aligned() const { return reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
};

TEST_CASE_TEMPLATE("Q-23: items of an over-aligned type", Queue, ALL_QUEUES(wide)) {
    Queue q;
    for (int i = 0; i < 8; ++i) {
        CHECK(q.try_put(wide{i}));
    }
    int sum = 0;
    while (auto const item = q.try_get()) {
        CHECK(item->aligned());
        sum += item->number;
    }
    CHECK(sum == 28);
}

TEST_CASE_TEMPLATE("Q-05, Q-12: cancelled getters and putters leave nothing behind", Queue, ALL_QUEUES(int)) {
    auto const body = []() -> task<> {
        Queue q(1);
        auto getter = spawn(q.get());
        co_await this_task::yield();
        getter.cancel();
        co_await this_task::yield();
        CHECK(getter.cancelled());
        CHECK(q.waiting_getters() == 0);
        co_await q.put(1);
        auto first = spawn(q.put(2));
        auto second = spawn(q.put(3));
        co_await this_task::yield();
        first.cancel();
        co_await this_task::yield();
        CHECK(first.cancelled());
        CHECK(co_await q.get() == 1);
        CHECK(co_await q.get() == 3);
        co_await std::move(second);
        CHECK(q.empty());
    };
    run(body(), simulated());
}

TEST_CASE_TEMPLATE("Q-10: handed an item first, cancelled second: get returns it", Queue, ALL_QUEUES(int)) {
    auto const body = []() -> task<> {
        Queue q;
        auto getter = spawn(q.get());
        co_await this_task::yield();
        co_await q.put(4);
        getter.cancel();
        CHECK(co_await std::move(getter) == 4);
    };
    run(body(), simulated());
}

TEST_CASE_TEMPLATE("Q-14, Q-16: join, closing, and what is left to get", Queue, ALL_QUEUES(int)) {
    auto const body = []() -> task<> {
        Queue q(3);
        for (int i = 0; i < 3; ++i) {
            co_await q.put(i);
        }
        auto joins = spawn(q.join());
        auto waits = spawn(how(q.put(7)));
        co_await this_task::yield();
        q.close();
        CHECK(co_await std::move(waits) == "the queue is closed");
        CHECK_FALSE(q.try_put(1));
        int sum = 0;
        while (auto item = co_await q.next()) {
            sum += *item + 1;
            CHECK_FALSE(joins.done());
            q.task_done();
        }
        CHECK(sum == 1 + 2 + 3);
        co_await std::move(joins);
        CHECK_THROWS_AS(q.task_done(), usage_error);
        CHECK(co_await how(q.get()) == "the queue is closed");
    };
    run(body(), simulated());
}

TEST_CASE_TEMPLATE("Q-17: discarded items are destroyed, once, and no longer counted", Queue, ALL_QUEUES(fragile)) {
    for (int count : {0, 1, 2, 3, 100}) {
        tally counted;
        {
            Queue q;
            for (int i = 0; i < count; ++i) {
                CHECK(q.try_put(fragile(i * 7 % 10, counted)));
            }
            CHECK(counted.alive == count);
            q.close(true);
            CHECK(counted.alive == 0);
            CHECK(q.unfinished() == 0);
            CHECK(q.empty());
            q.close(true);
        }
        {
            Queue abandoned;
            for (int i = 0; i < count; ++i) {
                CHECK(abandoned.try_put(fragile(i * 7 % 10, counted)));
            }
        }
        CHECK(counted.alive == 0);
    }
}

TEST_CASE_TEMPLATE("Q-23: a try_put whose copy throws leaves the queue as it was", Queue, ALL_QUEUES(fragile)) {
    tally counted;
    Queue q(1);
    fragile const bad(-1, counted);
    CHECK_THROWS_AS(q.try_put(bad), oops);
    CHECK(q.unfinished() == 0);
    CHECK(q.try_put(fragile(1, counted)));
    CHECK(q.try_get()->number == 1);
}

TEST_CASE_TEMPLATE("Q-22: a blocking call on a worker is refused", Queue, ALL_QUEUES(int)) {
    auto const body = []() -> task<> {
        Queue q;
        CHECK_THROWS_AS(q.blocking_put(1), usage_error);
        CHECK_THROWS_AS((void)q.blocking_get(), usage_error);
        co_return;
    };
    run(body(), simulated());
}

TEST_CASE_TEMPLATE("Q-07, Q-22: tasks and foreign threads, small queues: each item arrives once", Queue,
                   ALL_QUEUES(int)) {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        int const each = static_cast<int>(rounds(2000));
        for (std::size_t capacity : {1U, 4U}) {
            Queue q(capacity);
            std::vector<std::atomic<int>> seen(static_cast<std::size_t>(each) * 4);
            auto const puts = [&](int from) -> task<> {
                for (int i = 0; i < each; ++i) {
                    co_await q.put(from * each + i);
                }
            };
            auto const gets = [&]() -> task<> {
                while (auto item = co_await q.next()) {
                    seen[static_cast<std::size_t>(*item)].fetch_add(1);
                }
            };
            std::vector<join_handle<void>> getters;
            std::vector<join_handle<void>> putters;
            for (int i = 0; i < 3; ++i) {
                getters.push_back(rt.spawn(gets()));
                putters.push_back(rt.spawn(puts(i)));
            }
            std::thread outside([&] {
                for (int i = 0; i < each; ++i) {
                    q.blocking_put(3 * each + i);
                }
            });
            std::thread inside([&] {
                try {
                    for (;;) {
                        seen[static_cast<std::size_t>(q.blocking_get())].fetch_add(1);
                    }
                } catch (queue_closed const&) {
                }
            });
            for (auto& h : putters) {
                h.blocking_wait();
            }
            outside.join();
            q.close();
            inside.join();
            for (auto& h : getters) {
                h.blocking_wait();
            }
            CHECK(std::ranges::all_of(seen, [](auto const& n) { return n == 1; }));
        }
    }
}

TEST_CASE_TEMPLATE("conservation: what cancelled getters and putters leave is neither lost nor doubled", Queue,
                   ALL_QUEUES(int)) {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned round = 0; round < rounds(150); ++round) {
                Queue q(2);
                std::atomic<int> in{0};
                std::atomic<int> out{0};
                auto const puts = [&]() -> task<> {
                    for (int i = 0; i < 8; ++i) {
                        co_await q.put(i);
                        in.fetch_add(1);
                    }
                };
                auto const gets = [&]() -> task<> {
                    for (int i = 0; i < 8; ++i) {
                        co_await q.get();
                        out.fetch_add(1);
                    }
                };
                std::vector<join_handle<void>> t;
                for (int i = 0; i < 4; ++i) {
                    t.push_back(spawn(puts()));
                    t.push_back(spawn(gets()));
                }
                for (auto& victim : t) {
                    victim.cancel();
                    co_await this_task::yield();
                }
                for (auto& each : t) {
                    try {
                        co_await each;
                    } catch (child_cancelled const&) {
                    }
                }
                CHECK(in == out + static_cast<int>(q.size()));
                CHECK(q.waiting_getters() + q.waiting_putters() == 0);
            }
        };
        rt.block_on(body());
    }
}

} // namespace
