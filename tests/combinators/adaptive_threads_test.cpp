// Adaptive limits on several workers: what must hold whoever runs what.

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/limiter.hpp>
#include <magpie/combinators/limits.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <thread>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// How many are inside, and the most there ever were.
class gauge {
public:
    class visit {
    public:
        explicit visit(gauge& of) : of_(of) {
            int const n = of.inside_.fetch_add(1) + 1;
            int seen = of.most_.load();
            while (n > seen && !of.most_.compare_exchange_weak(seen, n)) {}
        }
        visit(visit const&) = delete;
        visit& operator=(visit const&) = delete;
        ~visit() { of_.inside_.fetch_sub(1); }

    private:
        gauge& of_;
    };
    int inside() const { return inside_.load(); }
    int most() const { return most_.load(); }

private:
    std::atomic<int> inside_{0};
    std::atomic<int> most_{0};
};

task<> one_item(gauge& g, int i) {
    gauge::visit const here(g);
    co_await this_task::yield();
    if (i % 3 == 0) {
        co_await this_task::yield();
    }
    if (i % 17 == 0) {
        throw oops("seventeenth");
    }
}

// A client that takes places by hand, and gives up in between.
task<> one_client(limiter& l, gauge& g, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        auto const place = co_await l.acquire();
        time_point const began = now();
        {
            gauge::visit const here(g);
            co_await this_task::yield();
        }
        if (i % 4 == 0) {
            l.record(i % 8 != 0);
        } else {
            l.record(i % 5 != 0, now() - began);
        }
    }
}

}  // namespace

TEST_CASE("never more in flight than max, every operation is counted once, and all places come back") {
    for (limit_kind kind : {limit_kind::aimd, limit_kind::gradient}) {
        for (unsigned workers : {2U, 8U}) {
            CAPTURE(workers);
            constexpr unsigned max = 12;
            limiter l(limit_config{.kind = kind, .initial = 6, .min = 2, .max = max, .target = 50us});
            gauge g;
            int const n = static_cast<int>(rounds(4000));
            int const per_client = static_cast<int>(rounds(400));
            constexpr int clients = 20;
            auto const item = [&](int i) { return one_item(g, i); };
            auto const body = [&]() -> task<> {
                auto a = spawn(batch_each(std::views::iota(0, n), item, {.limit = l, .on_error = settle}));
                auto b = spawn(batch_each(std::views::iota(0, n), item, {.limit = l, .on_error = settle}));
                std::vector<join_handle<>> others;
                for (int i = 0; i < clients; ++i) {
                    others.push_back(spawn(one_client(l, g, per_client)));
                }
                co_await gather(std::move(others));
                co_await std::move(a);
                co_await std::move(b);
            };
            run(body(), threads(workers));
            CHECK(g.most() <= static_cast<int>(max));
            CHECK(g.inside() == 0);
            CHECK(l.in_flight() == 0);
            CHECK(l.waiting() == 0);
            CHECK(l.limit() >= 2);
            CHECK(l.limit() <= max);
            CHECK(l.succeeded() + l.failed() == static_cast<std::uint64_t>(2 * n + clients * per_client));
            CHECK(l.available() == l.limit());
        }
    }
}

TEST_CASE("configured, resized, reloaded and cancelled from all sides: the last word holds, nobody is left behind") {
    for (unsigned workers : {2U, 8U}) {
        CAPTURE(workers);
        config c = threads(workers);
        c.limits["upstream"] = {.kind = limit_kind::aimd, .initial = 4, .min = 1, .max = 8};
        runtime rt(c);
        gauge g;
        auto const item = [&](int i) { return one_item(g, i); };
        std::atomic<bool> over{false};
        auto const changer = [&] {
            config mine = c;
            for (unsigned i = 0; !over.load(); ++i) {
                limit_config& l = mine.limits["upstream"];
                l.kind = static_cast<limit_kind>(i % 3);
                l.initial = 1 + i % 8;
                rt.reload(mine);
                std::this_thread::yield();
            }
        };
        auto const body = [&]() -> task<> {
            limiter& l = limits["upstream"];
            for (unsigned round = 0; round < rounds(40); ++round) {
                auto stays = spawn(batch_each(std::views::iota(0, 200), item, {.limit = l, .on_error = settle}));
                auto goes = spawn(batch_each(std::views::iota(0), item, {.limit = l, .on_error = settle}));
                auto client = spawn(one_client(l, g, 50));
                for (unsigned i = 0; i < round; ++i) {
                    co_await this_task::yield();
                    l.resize(1 + i % 8);
                }
                goes.cancel();
                co_await std::move(stays);
                co_await std::move(client);
                (void)co_await gather(settled, std::move(goes));
            }
        };
        {
            std::jthread const one(changer);
            std::jthread const other(changer);
            rt.block_on(body());
            over.store(true);
        }
        CHECK(g.most() <= 8);
        CHECK(g.inside() == 0);
        c.limits["upstream"] = 5;
        auto const last = [&]() -> task<> {
            rt.reload(c);
            limits["upstream"].resize(3);
            CHECK(limits["upstream"].limit() == 3);
            CHECK(limits["upstream"].in_flight() == 0);
            CHECK(limits["upstream"].available() == 3);
            co_return;
        };
        rt.block_on(last());
    }
}
