// gather on several workers: what must hold whoever runs what, and whoever comes first.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<int> yields(int times, int value) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
    co_return value;
}

TEST_CASE("results written on other workers are seen; every child runs once") {
    std::atomic<int> ran{0};
    auto const work = [&](int i) -> task<std::vector<int>> {
        ran.fetch_add(1);
        co_await this_task::yield();
        co_return std::vector<int>(static_cast<std::size_t>(i % 5), i);
    };
    auto const body = [&]() -> task<> {
        auto const v = co_await gather(std::views::iota(0, 2000) | std::views::transform(work));
        bool right = true;
        for (int i = 0; i < 2000; ++i) {
            auto const& each = v[static_cast<std::size_t>(i)];
            right = right && each == std::vector<int>(static_cast<std::size_t>(i % 5), i);
        }
        CHECK(right);
    };
    runtime rt(threads(4));
    for (unsigned i = 0; i < rounds(50); ++i) {
        ran = 0;
        rt.block_on(body());
        CHECK(ran == 2000);
    }
}

TEST_CASE("GATHER-21: several fail at once: one of them wins, every other one is suppressed") {
    std::atomic<int> suppressed{0};
    config c = threads(4);
    c.hooks.on_suppressed = [&](event_info const&) { suppressed.fetch_add(1); };
    std::atomic<int> failed{0};
    auto const fails = [&](int i) -> task<int> {
        if (i % 3 == 0) {
            co_await this_task::yield();
        }
        failed.fetch_add(1);
        throw oops(std::to_string(i));
    };
    auto const body = [&](bool& thrown) -> task<> {
        try {
            co_await gather(std::views::iota(0, 50) | std::views::transform(fails));
        } catch (oops const&) {
            thrown = true;
        }
    };
    runtime rt(c);
    for (unsigned i = 0; i < rounds(300); ++i) {
        suppressed = 0;
        failed = 0;
        bool thrown = false;
        rt.block_on(body(thrown));
        CHECK(thrown);
        CHECK(suppressed == failed - 1);
    }
}

TEST_CASE("GATHER-15, GATHER-19: a request races the last child: all the results, or cancelled; never hangs") {
    runtime rt(threads(4));
    int values = 0;
    int cancelled = 0;
    for (unsigned i = 0; i < rounds(3000); ++i) {
        auto h = rt.spawn(gather(yields(static_cast<int>(i % 4), 1), yields(static_cast<int>(i % 3), 2), yields(1, 3)));
        some_moments(i % 64);
        h.cancel();
        h.blocking_wait();
        if (h.cancelled()) {
            ++cancelled;
        } else {
            CHECK(h.result().value() == std::tuple(1, 2, 3));
            ++values;
        }
    }
    CHECK(values + cancelled == static_cast<int>(rounds(3000)));
}

TEST_CASE("GATHER-26: an error inside, a request from outside and the ends of a tree, all at once") {
    tally objects;
    std::atomic<int> suppressed{0};
    config c = threads(4);
    c.hooks.on_suppressed = [&](event_info const&) { suppressed.fetch_add(1); };
    auto const leaf = [](token, int i, bool fails) -> task<int> {
        for (int k = 0; k < i % 5; ++k) {
            co_await this_task::yield();
        }
        if (fails) {
            throw oops("leaf");
        }
        co_await sleep(std::chrono::microseconds(i % 7));
        co_return 1;
    };
    auto const branch = [&](int n) -> task<int> {
        auto [a, b, d] =
            co_await gather(leaf(token(objects), n, n % 11 == 0), leaf(token(objects), n + 1, false),
                            gather(leaf(token(objects), n + 2, n % 13 == 0), leaf(token(objects), n + 3, false)));
        co_return a + b + std::get<0>(d) + std::get<1>(d);
    };
    {
        runtime rt(c);
        for (unsigned i = 0; i < rounds(600); ++i) {
            auto h = rt.spawn(
                gather(std::views::iota(static_cast<int>(i), static_cast<int>(i) + 8) | std::views::transform(branch)));
            if (i % 2 == 0) {
                some_moments(i % 50);
                h.cancel();
                if (i % 4 == 0) {
                    h.cancel();
                }
            }
            h.blocking_wait();
            CHECK(objects.alive == 0);
            if (!h.cancelled() && h.result().has_value()) {
                CHECK(h.result().value() == std::vector<int>(8, 4));
            }
        }
    }
    CHECK(objects.alive == 0);
}

TEST_CASE("limit on several workers: never more than so many at once, in order, nothing lost") {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    auto const work = [&](int i) -> task<int> {
        int const here = inside.fetch_add(1) + 1;
        int seen = most.load();
        while (here > seen && !most.compare_exchange_weak(seen, here)) {}
        if (i % 3 == 0) {
            co_await this_task::yield();
        }
        inside.fetch_sub(1);
        co_return i;
    };
    auto const body = [&]() -> task<> {
        auto const v = co_await gather(std::views::iota(0, 3000) | std::views::transform(work), {.limit = 10});
        CHECK(std::ranges::equal(v, std::views::iota(0, 3000)));
    };
    runtime rt(threads(4));
    for (unsigned i = 0; i < rounds(20); ++i) {
        rt.block_on(body());
    }
    CHECK(most <= 10);
    CHECK(inside == 0);
}

TEST_CASE("limit: requests and errors race the children") {
    config c = threads(4);
    c.hooks.on_suppressed = [](event_info const&) {};
    runtime rt(c);
    tally objects;
    auto const work = [&](int i, token) -> task<int> {
        co_await this_task::yield();
        if (i == 150) {
            throw oops("150");
        }
        co_return i;
    };
    for (unsigned i = 0; i < rounds(300); ++i) {
        auto h = rt.spawn(
            gather(std::views::iota(0, 200) | std::views::transform([&](int k) { return work(k, token(objects)); }),
                   {.limit = 1 + i % 9}));
        some_moments(i % 40);
        if (i % 3 != 0) {
            h.cancel();
        }
        h.blocking_wait();
        CHECK(objects.alive == 0);
        CHECK(!(h.done() && !h.cancelled() && h.result().has_value()));
    }
}

TEST_CASE("children of a pinned task stay on its worker") {
    runtime rt(threads(4));
    auto const where = []() -> task<unsigned> {
        unsigned const first = this_task::worker();
        co_await this_task::yield();
        co_await sleep(10us);
        co_return first == this_task::worker() ? first : 1000U;
    };
    auto const body = [&]() -> task<> {
        unsigned const home = this_task::worker();
        auto const v = co_await gather(std::views::iota(0, 100) | std::views::transform([&](int) { return where(); }));
        auto const w = co_await gather(std::views::iota(0, 100) | std::views::transform([&](int) { return where(); }),
                                       {.limit = 8});
        CHECK(v == std::vector<unsigned>(100, home));
        CHECK(w == std::vector<unsigned>(100, home));
    };
    rt.block_on(body(), {.pinned = true});
}

}  // namespace
