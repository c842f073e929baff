// as_completed with many tasks, and on several workers.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task_local.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

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
                               .timeout = round % 5 == 0 ? std::optional<duration>(1h) : std::nullopt});
    };
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(1000); ++i) {
            auto h = rt.spawn(body(i % 41, i));
            if (i % 4 == 0) {
                h.cancel();
            }
            h.blocking_wait();
            CHECK(of.alive == 0);
            CHECK((i % 4 == 0 || h.result().has_value()));
        }
    }
}

TEST_CASE("ASC-13: a child inherits the task_locals of who starts it, while the awaiting task sets its own") {
    static task_local<std::string> text;
    auto const child = [](int i) -> task<int> {
        CHECK(text.get() == "body");
        co_return i;
    };
    auto const body = [&]() -> task<> {
        for (unsigned round = 0; round < rounds(40); ++round) {
            text.set("body");
            co_await as_completed(std::views::iota(0, 200) | std::views::transform(child),
                                  [](auto& s) -> task<> {
                                      auto const drain = [&]() -> task<> {
                                          while (auto item = co_await s.next()) {
                                              (void)item->get();
                                          }
                                      };
                                      auto first = spawn(drain());
                                      auto second = spawn(drain());
                                      for (std::size_t n = 0; !first.done() || !second.done(); ++n) {
                                          text.set(std::string(40 + n % 7, 'x'));
                                          co_await this_task::yield();
                                      }
                                      co_await std::move(first);
                                      co_await std::move(second);
                                  },
                                  {.limit = 8});
        }
    };
    run(body(), threads(4));
}

TEST_CASE("ASC-13: a consumer that still waits when the body leaves is woken with the end, or has its item") {
    auto const body = [](bool meets) -> task<> {
        std::vector<join_handle<bool>> consumers;
        auto const work = [](int i) -> task<int> { return after(i == 0 ? duration(1ms) : duration(1h), i); };
        co_await as_completed(std::views::iota(0, 3) | std::views::transform(work), [&](auto& s) -> task<> {
            auto const takes = [](auto& stream) -> task<bool> {
                auto const item = co_await stream.next();
                co_return item.has_value();
            };
            for (int i = 0; i < 3; ++i) {
                consumers.push_back(spawn(takes(s)));
            }
            co_await sleep(500us);
            if (meets) {
                co_await sleep(500us);  // goes on between the end of the first task and the consumer that is woken by it
            }
        });
        int items = 0;
        for (auto& each : consumers) {
            items += co_await std::move(each) ? 1 : 0;
        }
        CHECK(items == (meets ? 1 : 0));
    };
    run(body(false), simulated());
    run(body(true), simulated());
}

TEST_CASE("ASC-02: the time is up while the stream is being left, on another worker") {
    auto const work = [](unsigned yields) -> task<unsigned> {
        for (unsigned i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        co_return yields;
    };
    auto const leaves = [&](unsigned yields, unsigned round) -> task<> {
        co_await as_completed(std::views::iota(0U, 3U) | std::views::transform(work),
                              [&](auto&) -> task<> { co_await work(yields); },
                              {.timeout = std::chrono::microseconds(1 + round % 60)});
    };
    auto const body = [&]() -> task<> {
        for (unsigned round = 0; round < rounds(500); ++round) {
            co_await gather(std::views::iota(0U, 16U) |
                            std::views::transform([&](unsigned i) { return leaves(i, round + 7 * i); }));
        }
    };
    run(body(), threads(4));
}

}  // namespace
