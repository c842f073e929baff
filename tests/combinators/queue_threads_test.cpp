// queue on several workers and with foreign threads: nothing is lost, nothing comes twice.

#include <magpie/combinators/queue.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

using item = std::unique_ptr<std::uint64_t>;

task<> produces(queue<item>& q, unsigned from, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        co_await q.put(std::make_unique<std::uint64_t>(from + i));
    }
}

TEST_CASE(
    "Q-07, Q-20, BEY-07: eight producers, eight consumers, small queues: each item arrives once, all consumers end") {
    runtime rt(threads(4));
    for (std::size_t capacity = 1; capacity <= 4; ++capacity) {
        unsigned const each = rounds(20'000);
        std::vector<std::atomic<int>> seen(8 * each);
        queue<item> q(capacity);
        auto const consumes = [&]() -> task<> {
            while (auto const got = co_await q.next()) {
                seen[**got].fetch_add(1);
                q.task_done();
            }
        };
        auto const body = [&]() -> task<> {
            std::vector<join_handle<void>> producers;
            std::vector<join_handle<void>> consumers;
            for (unsigned i = 0; i < 8; ++i) {
                producers.push_back(spawn(produces(q, i * each, each)));
                consumers.push_back(spawn(consumes()));
            }
            for (auto& h : producers) {
                co_await std::move(h);
            }
            co_await q.join();
            q.close();
            for (auto& h : consumers) {
                co_await std::move(h);
            }
        };
        rt.block_on(body());
        bool once = true;
        for (auto const& count : seen) {
            once = once && count == 1;
        }
        CHECK(once);
        CHECK(q.size() == 0);
    }
}

TEST_CASE("Q-10, Q-12, BEY-27: conservation: what cancelled getters and putters leave is neither lost nor doubled") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(300); ++round) {
            queue<int> q(2);
            std::atomic<int> put{0};
            std::atomic<int> got{0};
            auto const putter = [&]() -> task<> {
                co_await q.put(1);
                put.fetch_add(1);
            };
            auto const getter = [&]() -> task<> {
                (void)co_await q.get();
                got.fetch_add(1);
            };
            std::vector<join_handle<void>> t;
            for (int i = 0; i < 12; ++i) {
                t.push_back(spawn(putter()));
                t.push_back(spawn(getter()));
            }
            auto const cancels = [&](std::size_t from) -> task<> {
                for (std::size_t i = from; i < t.size(); i += 5) {
                    t[i].cancel();
                }
                co_return;
            };
            auto a = spawn(cancels(0));
            auto b = spawn(cancels(3));
            co_await std::move(a);
            co_await std::move(b);
            q.close();
            for (auto& each : t) {
                try {
                    co_await each;
                } catch (std::exception const&) {  // child_cancelled, queue_closed
                }
            }
            int left = 0;
            while (q.try_get()) {
                ++left;
            }
            CHECK(put == got + left);
            CHECK(q.waiting_getters() == 0);
            CHECK(q.waiting_putters() == 0);
        }
    };
    rt.block_on(body());
}

TEST_CASE("Q-22, BEY-18: foreign threads put and get, blocking") {
    runtime rt(threads(2));
    unsigned const count = rounds(2000);
    queue<item> to_tasks(3);
    queue<item> to_threads(3);
    auto const passes_on = [&]() -> task<> {
        while (auto got = co_await to_tasks.next()) {
            co_await to_threads.put(std::move(*got));
        }
        to_threads.close();
    };
    auto h = rt.spawn(passes_on());
    std::thread producer([&] {
        for (unsigned i = 0; i < count; ++i) {
            to_tasks.blocking_put(std::make_unique<std::uint64_t>(i));
        }
        to_tasks.close();
    });
    std::uint64_t expected = 0;
    bool in_order = true;
    try {
        for (;;) {
            item const got = to_threads.blocking_get();
            in_order = *got == expected && in_order;
            ++expected;
        }
    } catch (queue_closed const&) {
    }
    producer.join();
    h.blocking_wait();
    CHECK(in_order);
    CHECK(expected == count);
    CHECK_THROWS_AS(to_tasks.blocking_put(nullptr), queue_closed);
}

TEST_CASE("close and try_put at once: the item is either in, or refused and still the caller's") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(2000); ++round) {
            queue<item> q;
            std::atomic<int> in{0};
            std::atomic<int> out{0};
            auto const tries = [&]() -> task<> {
                for (std::uint64_t i = 0; i < 8; ++i) {
                    auto mine = std::make_unique<std::uint64_t>(i);
                    if (q.try_put(std::move(mine))) {
                        in.fetch_add(1);
                    } else {
                        CHECK(mine != nullptr);
                    }
                }
                co_return;
            };
            auto const drains = [&]() -> task<> {
                while (co_await q.next()) {
                    out.fetch_add(1);
                }
            };
            auto const closes = [&]() -> task<> {
                q.close();
                co_return;
            };
            auto a = spawn(tries());
            auto b = spawn(drains());
            auto c = spawn(tries());
            auto d = spawn(closes());
            co_await std::move(a);
            co_await std::move(b);
            co_await std::move(c);
            co_await std::move(d);
            while (q.try_get()) {
                out.fetch_add(1);
            }
            CHECK(in == out);
        }
    };
    rt.block_on(body());
}

} // namespace
