// as_completed with many tasks, and on several workers.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <ranges>
#include <utility>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("ASC-16: 100,000 children: the cost is linear") {
    static constexpr int many = 100'000;
    auto const body = []() -> task<> {
        event go;
        auto const work = [&](int i) -> task<int> {
            co_await go.wait();
            co_return i;
        };
        long sum = 0;
        co_await as_completed(std::views::iota(0, many) | std::views::transform(work), [&](auto& s) -> task<> {
            auto opens = [&]() -> task<> {
                go.set();
                co_return;
            };
            auto h = spawn(opens());
            while (auto item = co_await s.next()) {
                sum += item->get();
            }
            co_await std::move(h);
        });
        CHECK(sum == static_cast<long>(many) * (many - 1) / 2);
    };
    run(body(), simulated());
    run(body(), threads(4));
}

TEST_CASE("ASC-13: a consumer leaves while children publish, on several workers: nothing leaks or hangs") {
    tally of;
    auto const work = [&](unsigned yields) -> task<token> {
        for (unsigned i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        co_return token(of);
    };
    auto const body = [&](unsigned take, unsigned round) -> task<> {
        auto make = [&](unsigned i) { return work((i * 7 + round) % 5); };
        co_await as_completed(std::views::iota(0U, 40U) | std::views::transform(make),
                              [&](auto& s) -> task<> {
                                  for (unsigned i = 0; i < take; ++i) {
                                      (void)co_await s.next();
                                  }
                              },
                              {.limit = round % 3 == 0 ? 0U : 8U,
                               .timeout = round % 5 == 0 ? std::optional<duration>(10s) : std::nullopt});
    };
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(1000); ++i) {
            auto h = rt.spawn(body(i % 41, i));
            if (i % 4 == 0) {
                h.cancel();
            }
            h.blocking_wait();
        }
    }
    CHECK(of.alive == 0);
}

}  // namespace
