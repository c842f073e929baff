// select: the first one to end, and what becomes of the others.

#include <magpie/combinators/event.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Gives a value `more` after it was asked to end.
task<int> ends_all_the_same(duration more, int value) {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        value += 1000;
    }
    co_await sleep(more);
    co_return value;
}

TEST_CASE("BEY-14: the first to end wins; the others are cancelled and have ended before select returns") {
    trace seen;
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        auto const w = co_await select(cleans_up(seen, "slow", 1h, 5ms), after(10ms, std::string("quick")),
                                       cleans_up(seen, "slower", 1h, 3ms), nap(2h));
        CHECK(w.index == 1);
        CHECK(std::get<1>(w.value) == "quick");
        CHECK(watch.ms() == 15);
        static_assert(std::is_same_v<std::variant_alternative_t<3, decltype(w.value)>, std::monostate>);
    };
    run(body(), simulated());
    CHECK(seen == trace{"slow cancelled", "slower cancelled", "slower cleaned", "slow cleaned"});
}

TEST_CASE("select takes every awaitable; values may be void, references, move-only, and of one type") {
    queue<std::unique_ptr<int>> items;
    semaphore places(1);
    event never;
    int referred = 0;
    auto refers = [&]() -> task<int&> {
        co_await sleep(1ms);
        co_return referred;
    };
    auto const body = [&]() -> task<> {
        auto a = co_await select(items.get(), sleep(1ms), never.wait());
        CHECK(a.index == 1);
        auto b = co_await select(never.wait(), places.acquire(), sleep(1ms));
        CHECK(b.index == 1);
        CHECK(places.available() == 0);
        auto c = co_await select(items.get(), items.put(std::make_unique<int>(7)));
        REQUIRE((c.index == 1 || *std::get<0>(c.value) == 7));
        if (c.index == 1) {  // the getter had been given the item before it was cancelled
            REQUIRE(c.late<0>());
            CHECK(**c.late<0>() == 7);
        }
        auto d = co_await select(refers(), refers());
        CHECK(std::get<0>(d.value) == &referred);
        auto h = spawn(after(1h, 1));
        auto kept = spawn(after(10ms, 2));
        auto shared = spawn(after(1h, 3)).share();
        auto e = co_await select(std::move(h), kept, shared);
        CHECK(e.index == 1);
        CHECK(*std::get<1>(e.value) == 2);
        CHECK_FALSE(shared.done());
        shared.cancel();
        auto f = co_await select(select(sleep(2ms), sleep(1ms)), select(sleep(3ms), sleep(4ms)));
        CHECK(f.index == 0);
        CHECK(std::get<0>(f.value).index == 1);
    };
    run(body(), simulated());
}

TEST_CASE("D9: what a loser gives in spite of the request is late, not lost") {
    tally of;
    auto const receives = [&](duration d) -> task<token> {
        try {
            co_await sleep(d);
        } catch (task_cancelled const&) {}
        co_return token(of);
    };
    auto const body = [&]() -> task<> {
        auto w = co_await select(receives(1h), after(1ms, 1), ends_all_the_same(1ms, 5), nap(1h));
        CHECK(w.index == 1);
        CHECK(w.late<0>().has_value());
        CHECK_FALSE(w.late<1>());
        CHECK(w.late<2>() == 1005);
        CHECK_FALSE(w.late<3>());
        CHECK(of.alive == 1);
    };
    run(body(), simulated());
    CHECK(of.alive == 0);
}

TEST_CASE("the winner's error is thrown after the join; a loser's is suppressed; settled throws none") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    trace seen;
    auto const spoils = []() -> task<int> {
        bool asked = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            asked = true;
        }
        if (asked) {
            throw oops("while unwinding");
        }
        co_return 1;
    };
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        CHECK(co_await how(select(fails_after(2ms, "first"), cleans_up(seen, "other", 1h, 3ms))) == "first");
        CHECK(watch.ms() == 5);
        CHECK(seen.size() == 2);
        CHECK(co_await how(select(after(1ms, 1), spoils())) == "value");
        auto w = co_await select(settled, fails_after(1ms, "one"), ends_all_the_same(1ms, 7));
        CHECK(w.index == 0);
        CHECK(describe(std::get<0>(w.value).error()).find("one") != std::string::npos);
        CHECK(w.late<1>() == 1007);
        auto v = co_await select(settled, after(1ms, 4), nap(2ms));
        CHECK(std::get<0>(v.value).value() == 4);
        auto gone = spawn(after(1h, 1));
        gone.cancel();
        CHECK((co_await how(select(std::move(gone), nap(1h)))).find("cancelled") != std::string::npos);
    };
    run(body(), c);
    REQUIRE(suppressed.size() == 1);
    CHECK(suppressed.entries()[0].error.find("while unwinding") != std::string::npos);
}

TEST_CASE("cancelling who awaits cancels all, each once, and joins them; a value given in spite of it counts") {
    trace seen;
    int deliveries = 0;
    auto const body = [&]() -> task<> {
        auto h = spawn(select(cleans_up(seen, "a", 1h, 2ms), cleans_up(seen, "b", 1h, 1ms)));
        co_await sleep(1ms);
        h.cancel();
        stopwatch const watch;
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(watch.ms() == 2);
        CHECK(seen == trace{"a cancelled", "b cancelled", "b cleaned", "a cleaned"});

        bool pending = false;
        auto keeps = [&]() -> task<int> {
            auto w = co_await select(ends_all_the_same(1ms, 1), resists(deliveries, 2, 3ms));
            CHECK(w.index == 0);
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                pending = true;
            }
            co_return std::get<0>(w.value);
        };
        auto k = spawn(keeps());
        co_await sleep(1ms);
        k.cancel();
        CHECK(co_await k == 1001);
        CHECK(pending);
        CHECK(deliveries == 1);
    };
    run(body(), simulated());
}

TEST_CASE("a winner that ends at once: those behind it need not begin; a pending request begins nothing") {
    int began = 0;
    auto const begins = [&]() -> task<int> {
        ++began;
        co_return began;
    };
    auto const body = [&]() -> task<> {
        auto const w = co_await select(begins(), begins(), begins());
        CHECK(w.index == 0);
        int const before = began;
        this_task::cancel();
        CHECK(co_await how(select(begins(), begins())) == "cancelled");
        CHECK(began == before);
        (void)this_task::uncancel();
        { auto never = select(begins(), begins()); }
        CHECK(began == before);
        CHECK(co_await how(timeout(1ms, select(nap(1h), nap(2h)))) == "timeout");
    };
    run(body(), simulated());
}

TEST_CASE("two getters of one queue, on several workers: every item is received exactly once") {
    for (unsigned const workers : {2U, 8U}) {
        constexpr int total = 2000;
        queue<int> left;
        queue<int> right;
        std::atomic<long> sum{0};
        std::atomic<int> count{0};
        auto const consumer = [&]() -> task<> {
            while (count.load() < total) {
                auto w = co_await select(left.get(), right.get(), sleep(1ms));
                auto const take = [&](int item) {
                    sum.fetch_add(item);
                    count.fetch_add(1);
                };
                if (w.index == 0) {
                    take(std::get<0>(w.value));
                } else if (w.index == 1) {
                    take(std::get<1>(w.value));
                }
                if (auto& late = w.late<0>()) {
                    take(*late);
                }
                if (auto& late = w.late<1>()) {
                    take(*late);
                }
            }
        };
        auto const producer = [&]() -> task<> {
            for (int i = 0; i < total; ++i) {
                co_await (i % 2 == 0 ? left : right).put(i);
                if (i % 7 == 0) {
                    co_await this_task::yield();
                }
            }
        };
        auto const body = [&]() -> task<> {
            auto a = spawn(consumer());
            auto b = spawn(consumer());
            auto c = spawn(producer());
            co_await std::move(a);
            co_await std::move(b);
            co_await std::move(c);
        };
        run(body(), threads(workers));
        CHECK(count == total);
        CHECK(sum == long{total} * (total - 1) / 2);
    }
}

TEST_CASE("a request races the winner: a value or cancelled, never both, never hangs; nothing leaks") {
    tally of;
    auto const quick = [&](unsigned yields) -> task<token> {
        for (unsigned i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        co_return token(of);
    };
    runtime rt(threads(4));
    for (unsigned i = 0; i < rounds(3000); ++i) {
        auto h = rt.spawn(select(quick(i % 5), quick(i % 3), nap(1h)));
        some_moments(i % 50);
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled() != h.result().has_value());
        if (h.result().has_value()) {
            CHECK(of.alive >= 1);  // what won is there, and is one of the two that can win
            CHECK(h.result().value().index < 2);
        } else {
            CHECK(of.alive == 0);
        }
        h = {};
        until([&] { return of.alive == 0; });  // the worker's reference may be the last
    }
}

}  // namespace
