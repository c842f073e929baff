#include <magpie/combinators/queue.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}
task<> puts(queue<int>& q, int item, trace& seen) {
    co_await q.put(item);
    seen.push_back("put " + std::to_string(item));
}
task<> gets(queue<int>& q, trace& seen) {
    seen.push_back("got " + std::to_string(co_await q.get()));
}

TEST_CASE("Q-02: first in, first out; full at its capacity, unbounded with 0") {
    auto const body = []() -> task<> {
        queue<int> q(2);
        CHECK(q.empty());
        co_await q.put(1);
        CHECK_FALSE(q.full());
        co_await q.put(2);
        CHECK(q.full());
        CHECK(q.size() == 2);
        CHECK_FALSE(q.try_put(3));
        CHECK(co_await q.get() == 1);
        CHECK(co_await q.get() == 2);
        queue<int> unbounded;
        for (int i = 0; i < 1000; ++i) {
            co_await unbounded.put(i);
        }
        CHECK_FALSE(unbounded.full());
        for (int i = 0; i < 1000; ++i) {
            CHECK(unbounded.try_get() == i);
        }
        CHECK(unbounded.try_get() == std::nullopt);
    };
    run(body(), simulated());
}

TEST_CASE("Q-03, Q-13: get waits for an item; a put hands it over and nobody overtakes") {
    auto const body = []() -> task<> {
        queue<int> q;
        trace seen;
        auto a = spawn(gets(q, seen));
        auto b = spawn(gets(q, seen));
        co_await yields(2);
        CHECK(q.waiting_getters() == 2);
        co_await q.put(1);
        CHECK(q.try_get() == std::nullopt);  // it is the first getter's
        CHECK(q.size() == 0);
        co_await q.put(2);
        co_await yields(1);
        CHECK(seen == trace{"got 1", "got 2"});
    };
    run(body(), simulated());
}

TEST_CASE("Q-06, Q-09: putters wait for room, in order; a get lets the first one in") {
    auto const body = []() -> task<> {
        queue<int> q(1);
        trace seen;
        co_await q.put(0);
        auto a = spawn(puts(q, 1, seen));
        auto b = spawn(puts(q, 2, seen));
        co_await yields(2);
        CHECK(q.waiting_putters() == 2);
        CHECK(co_await q.get() == 0);
        CHECK_FALSE(q.try_put(9));  // the room is the first putter's
        co_await yields(1);
        CHECK(seen == trace{"put 1"});
        CHECK(co_await q.get() == 1);
        CHECK(co_await q.get() == 2);
        co_await std::move(b);
        CHECK(seen == trace{"put 1", "put 2"});
    };
    run(body(), simulated());
}

TEST_CASE("Q-19: with room for one, a producer and a consumer take turns") {
    auto const body = []() -> task<> {
        queue<int> q(1);
        trace seen;
        auto const produces = [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                co_await q.put(i);
            }
        };
        auto h = spawn(produces());
        for (int i = 0; i < 3; ++i) {
            co_await gets(q, seen);
        }
        CHECK(seen == trace{"got 0", "got 1", "got 2"});
        co_await std::move(h);
    };
    run(body(), simulated());
}

TEST_CASE("Q-05, Q-08: a cancelled getter takes no item and leaves no node; so does a cancelled putter") {
    auto const body = []() -> task<> {
        queue<int> q(1);
        trace seen;
        auto a = spawn(gets(q, seen));
        auto b = spawn(gets(q, seen));
        co_await yields(2);
        a.cancel();
        co_await q.put(1);
        co_await yields(2);
        CHECK(a.cancelled());
        CHECK(seen == trace{"got 1"});
        CHECK(q.waiting_getters() == 0);

        co_await q.put(2);
        auto c = spawn(puts(q, 3, seen));
        auto d = spawn(puts(q, 4, seen));
        co_await yields(2);
        c.cancel();
        co_await yields(2);
        CHECK(c.cancelled());
        CHECK(co_await q.get() == 2);
        CHECK(co_await q.get() == 4);  // the room passed to the next, 3 never was in
        co_await std::move(d);
        CHECK(q.waiting_putters() == 0);
        CHECK(q.unfinished() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("Q-10: handed an item first, cancelled second: get returns it, the request stays pending") {
    auto const body = []() -> task<> {
        queue<int> q;
        trace seen;
        auto const reads = [&]() -> task<> {
            co_await gets(q, seen);
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto a = spawn(reads());
        co_await yields(2);
        co_await q.put(1);
        a.cancel();
        co_await yields(3);
        CHECK(a.cancelled());
        CHECK(seen == trace{"got 1"});
        CHECK(q.size() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("Q-12: an item whose put is cancelled dies with it, once") {
    tally t;
    auto const body = [&]() -> task<> {
        queue<token> q(1);
        co_await q.put(token(t));
        auto const puts_one = [&]() -> task<> {
            auto put = q.put(token(t));
            co_await std::move(put);
        };
        auto h = spawn(puts_one());
        co_await yields(2);
        CHECK(t.alive == 2);
        h.cancel();
        co_await yields(2);
        CHECK(t.alive == 1);
        auto unused = q.put(token(t));  // never awaited
    };
    run(body(), simulated());
    CHECK(t.alive == 0);  // the queue took what was left with it
}

TEST_CASE("Q-14: join waits until everything put is done; a surplus task_done is an error") {
    auto const body = []() -> task<> {
        queue<int> q;
        co_await q.join();
        CHECK_THROWS_AS(q.task_done(), usage_error);
        trace seen;
        co_await q.put(1);
        co_await q.put(2);
        auto const joins = [&]() -> task<> {
            co_await q.join();
            seen.push_back("joined");
        };
        auto h = spawn(joins());
        CHECK(co_await q.get() == 1);
        q.task_done();
        CHECK(co_await q.get() == 2);
        co_await yields(2);
        CHECK(seen.empty());
        q.task_done();
        co_await std::move(h);
        CHECK(q.unfinished() == 0);
        CHECK_THROWS_AS(q.task_done(), usage_error);
    };
    run(body(), simulated());
}

TEST_CASE("Q-15: closing an empty queue ends those who wait; later puts and gets fail") {
    auto const body = []() -> task<> {
        queue<int> q;
        trace seen;
        auto const get_or_say = [&]() -> task<> {
            try {
                co_await gets(q, seen);
            } catch (queue_closed const&) {
                seen.push_back("closed");
            }
        };
        auto const next_or_say = [&]() -> task<> {
            auto const item = co_await q.next();
            seen.push_back(item ? "item" : "end");
        };
        auto a = spawn(get_or_say());
        auto b = spawn(next_or_say());
        co_await yields(2);
        q.close();
        q.close();
        co_await yields(1);
        CHECK(seen == trace{"closed", "end"});
        CHECK(q.closed());
        bool refused = false;
        try {
            co_await q.put(1);
        } catch (queue_closed const&) {
            refused = true;
        }
        CHECK(refused);
        CHECK_FALSE(q.try_put(1));
        CHECK(q.try_get() == std::nullopt);
        CHECK(co_await q.next() == std::nullopt);
        co_await q.join();
    };
    run(body(), simulated());
}

TEST_CASE("Q-16: closing a full queue refuses the putters; the items can still be had") {
    auto const body = []() -> task<> {
        queue<int> q(1);
        co_await q.put(1);
        trace seen;
        auto h = spawn(puts(q, 2, seen));
        co_await yields(2);
        q.close();
        co_await yields(2);
        CHECK(h.done());
        CHECK_THROWS_AS((void)h.result().value(), queue_closed);
        CHECK(co_await q.get() == 1);
        CHECK(co_await q.next() == std::nullopt);
        CHECK(q.unfinished() == 1);
        q.task_done();
        co_await q.join();
    };
    run(body(), simulated());
}

TEST_CASE("Q-17, Q-18: closing with discard destroys the items, and join waits only for those that were got") {
    tally t;
    auto const body = [&]() -> task<> {
        queue<token> q;
        for (int i = 0; i < 3; ++i) {
            co_await q.put(token(t));
        }
        {
            token const got = co_await q.get();
            q.close();
            CHECK(t.alive == 3);
            q.close(true);
            CHECK(t.alive == 1);
        }
        CHECK(q.unfinished() == 1);
        q.task_done();
        co_await q.join();
        CHECK(q.size() == 0);
    };
    run(body(), simulated());
    CHECK(t.alive == 0);
}

// Its move constructor throws when told to.
struct fickle {
    explicit fickle(int n) : number(n) {}
    fickle(fickle&& other) : number(std::exchange(other.number, -1)) {
        if (throws) {
            other.number = number;
            throw std::domain_error("move");
        }
    }
    int number;
    inline static bool throws = false;
};

TEST_CASE("Q-04, Q-23: a try_put that fails leaves the item alone; one that throws leaves the queue as it was") {
    queue<std::unique_ptr<int>> q(1);
    auto item = std::make_unique<int>(1);
    CHECK(q.try_put(std::move(item)));
    item = std::make_unique<int>(2);
    CHECK_FALSE(q.try_put(std::move(item)));
    REQUIRE(item != nullptr);
    CHECK(*item == 2);
    CHECK(**q.try_get() == 1);

    queue<fickle> f(1);
    fickle one(1);
    fickle::throws = true;
    CHECK_THROWS_AS((void)f.try_put(std::move(one)), std::domain_error);
    fickle::throws = false;
    CHECK(one.number == 1);
    CHECK(f.size() == 0);
    CHECK(f.unfinished() == 0);
    CHECK(f.try_put(std::move(one)));
    CHECK_FALSE(f.try_put(fickle(2)));
    f.close();
    CHECK(f.try_get()->number == 1);

    queue<std::string> copies(1);
    std::string const text = "copied";
    CHECK(copies.try_put(text));
    CHECK(copies.try_get() == text);
}

TEST_CASE("Q-22: a blocking call on a worker is refused") {
    auto const body = []() -> task<> {
        queue<int> q;
        CHECK_THROWS_AS((void)q.blocking_get(), usage_error);
        CHECK_THROWS_AS(q.blocking_put(1), usage_error);
        CHECK(q.size() == 0);
        co_return;
    };
    run(body(), simulated());
}

static_assert(!std::is_copy_constructible_v<queue<int>>);

} // namespace
