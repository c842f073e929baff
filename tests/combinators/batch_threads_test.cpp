// batch on several workers: what must hold whoever runs what.

#include <magpie/combinators/batch.hpp>

#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("results are in order, at most limit items inside, fn and progress are called by one task at a time") {
    for (unsigned workers : {2U, 4U, 8U}) {
        std::atomic<int> inside{0};
        std::atomic<int> most{0};
        int calls = 0;      // plain: TSan sees two callers
        std::size_t told = 0;
        auto const fn = [&](int i) {
            ++calls;
            return [](std::atomic<int>& in, std::atomic<int>& top, int value) -> task<std::string> {
                int const n = in.fetch_add(1) + 1;
                int seen = top.load();
                while (n > seen && !top.compare_exchange_weak(seen, n)) {
                }
                co_await this_task::yield();
                in.fetch_sub(1);
                co_return std::to_string(value);
            }(inside, most, i);
        };
        auto const show = [&](progress const& p) { told += p.done == told + 1 ? 1 : 1000; };
        auto const body = [&]() -> task<> {
            int const n = static_cast<int>(rounds(5000));
            auto const v = co_await batch(std::views::iota(0, n), fn, {.limit = 16}).on_progress(show);
            bool in_order = v.size() == static_cast<std::size_t>(n);
            for (int i = 0; i < n && in_order; ++i) {
                in_order = v[static_cast<std::size_t>(i)] == std::to_string(i);
            }
            CHECK(in_order);
            CHECK(calls == n);
            CHECK(told == static_cast<std::size_t>(n));
        };
        run(body(), threads(workers));
        CHECK(most <= 16);
    }
}

TEST_CASE("errors, retries, shared limits and cancellations at once: permits come back, nobody is left behind") {
    runtime rt(threads(4));
    event_log suppressed;
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(300); ++round) {
            limiter l(3);
            tally frames;
            auto const fn = [&](int i) -> task<int> {
                token const frame(frames);
                co_await this_task::yield();
                if (i % 7 == 3) {
                    throw oops("seven");
                }
                co_return i;
            };
            retry_options const retry{.attempts = 3, .backoff = 1us};
            auto a = spawn(batch(settled, std::views::iota(0, 40), fn, {.limit = l, .retry = retry}));
            auto b = spawn(batch_each(std::views::iota(0), fn, {.limit = l, .on_error = settle}));
            auto c = spawn(batch(settled, std::views::iota(0, 40), fn, {.limit = 4, .rate = 1e6, .retry = retry}));
            for (unsigned i = 0; i < round % 50; ++i) {
                co_await this_task::yield();
            }
            b.cancel();
            if (round % 2 == 0) {
                c.cancel();
            }
            auto const o = co_await std::move(a);
            CHECK(o[3].error() != nullptr);
            CHECK(o[39].value() == 39);
            CHECK_THROWS_AS(co_await b, child_cancelled);
            try {
                (void)co_await c;
            } catch (child_cancelled const&) {
                CHECK(round % 2 == 0);
            }
            CHECK(frames.alive == 0);
            CHECK(l.available() == 3);
            CHECK(l.waiting() == 0);
        }
    };
    rt.block_on(body());
}

TEST_CASE("memory does not grow with the number of inputs") {
    runtime rt(threads(2));
    tally frames;
    std::atomic<int> most{0};
    auto const fn = [&](std::uint64_t i) -> task<> {
        token const frame(frames);
        most = std::max(most.load(), frames.alive.load());
        if (i % 64 == 0) {
            co_await this_task::yield();
        }
    };
    rt.block_on(batch_each(std::views::iota(std::uint64_t{0}, std::uint64_t{rounds(300'000)}), fn, {.limit = 32}));
    CHECK(frames.made == static_cast<int>(rounds(300'000)));
    CHECK(most <= 33);
    CHECK(frames.alive == 0);
}

} // namespace
