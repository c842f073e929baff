// gather of ranges with a limit or a progress report.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/counting_source.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// How many run at once, and at most.
struct gauge {
    void enter() { most = std::max(most, ++inside); }
    void leave() { --inside; }
    int inside = 0;
    int most = 0;
};

TEST_CASE("GATHER-35, BEY-02: limit: a task is made when a slot is free, the order of the results is kept") {
    gauge running;
    gauge frames;
    struct counts {
        explicit counts(gauge& g) : g_(&g) { g_->enter(); }
        counts(counts&& other) noexcept : g_(std::exchange(other.g_, nullptr)) {}
        ~counts() {
            if (g_ != nullptr) {
                g_->leave();
            }
        }
        gauge* g_;
    };
    auto const work = [&](int i, counts) -> task<int> {
        running.enter();
        co_await sleep(std::chrono::milliseconds(1 + i % 3));
        running.leave();
        co_return i;
    };
    auto const body = [&]() -> task<> {
        auto make = [&](int i) { return work(i, counts(frames)); };
        auto const v = co_await gather(std::views::iota(0, 100) | std::views::transform(make), {.limit = 7});
        CHECK(std::ranges::equal(v, std::views::iota(0, 100)));
        CHECK(running.most == 7);
        CHECK(frames.most == 7);
        int made = 0;
        auto const w = co_await gather(counting_source(50, made), {.limit = 1});
        CHECK(std::ranges::equal(w, std::views::iota(0, 50)));
    };
    run(body(), simulated());
}

TEST_CASE("limit: after an error, or a request to cancel, nothing more is made") {
    int made = 0;
    auto const work = [&](int i) -> task<int> {
        ++made;
        return i == 4 ? fails_after(1ms, "four") : after(1ms, i);
    };
    auto const endless = [&](int) -> task<int> {
        ++made;
        return after(1ms, 0);
    };
    auto const body = [&]() -> task<> {
        std::string what;
        try {
            co_await gather(std::views::iota(0, 100) | std::views::transform(work), {.limit = 2});
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "four");
        CHECK(made <= 6);

        made = 0;
        auto h = spawn(gather(std::views::iota(0) | std::views::transform(endless), {.limit = 2}));
        co_await sleep(10500us);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
        CHECK(made == 22);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-14: limit: each task gets one request for each request to who awaits, also while it cleans up") {
    trace seen;
    int deliveries = 0;
    auto const body = [&]() -> task<> {
        std::vector<task<int>> tasks;
        tasks.push_back(cleans_up(seen, "a", 1h, 1ms));
        tasks.push_back(cleans_up(seen, "b", 1h, 5ms));
        tasks.push_back(resists(deliveries, 4, 10ms));
        auto h = spawn(gather(std::move(tasks), {.limit = 3}));
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(seen == trace{"a cancelled", "b cancelled", "a cleaned", "b cleaned"});
        CHECK(deliveries == 1);

        deliveries = 0;
        std::vector<task<int>> again;
        again.push_back(after(3ms, 1));
        again.push_back(resists(deliveries, 4, 10ms));
        auto twice = spawn(gather(std::move(again), {.limit = 2}));
        co_await sleep(1ms);
        twice.cancel();
        co_await sleep(1ms);
        twice.cancel();
        co_await wait_for(twice);
        CHECK(deliveries == 2);
    };
    run(body(), simulated());
}

TEST_CASE("limit: settled and wait_all go on; one's own cancellation beats them") {
    auto const work = [](int i) { return i % 2 == 0 ? fails_after(1ms, "even") : after(1ms, i); };
    auto const body = [&]() -> task<> {
        auto const o = co_await gather(settled, std::views::iota(0, 10) | std::views::transform(work), {.limit = 3});
        CHECK(o.size() == 10);
        CHECK(std::ranges::count_if(o, [](auto const& each) { return each.has_value(); }) == 5);
        stopwatch const watch;
        std::string what;
        try {
            co_await gather(wait_all, std::views::iota(0, 10) | std::views::transform(work), {.limit = 2});
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "even");
        CHECK(watch.ms() == 5);
        auto h = spawn(gather(settled, std::views::iota(0, 10) | std::views::transform([](int) { return nap(1h); }),
                              {.limit = 3}));
        co_await sleep(1ms);
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
    };
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
    CHECK(suppressed.size() == 4);
}

TEST_CASE("BEY-10: progress is told one call at a time, grows by one, and ends with the total") {
    auto const body = [](std::size_t limit) -> task<> {
        std::vector<progress> seen;
        bool inside = false;
        auto show = [&](progress const& p) {
            CHECK_FALSE(inside);
            inside = true;
            seen.push_back(p);
            inside = false;
        };
        auto work = [](int i) { return i == 3 ? fails_after(1ms, "three") : after(1ms, i); };
        auto g =
            gather(settled, std::views::iota(0, 20) | std::views::transform(work), {.limit = limit}).on_progress(show);
        auto const o = co_await std::move(g);
        CHECK(o.size() == 20);
        REQUIRE(seen.size() == 20);
        for (std::size_t i = 0; i < seen.size(); ++i) {
            CHECK(seen[i].done == i + 1);
            CHECK(seen[i].total == 20);
            CHECK(seen[i].done + seen[i].in_flight <= 20);
        }
        CHECK(seen.back().failed == 1);
        CHECK(seen.back().in_flight == 0);
    };
    for (std::size_t const limit : {0U, 1U, 6U}) {
        run(body(limit), simulated());
        run(body(limit), threads(3));
    }
}

TEST_CASE("what on_progress throws fails the gather") {
    auto const body = []() -> task<> {
        auto show = [](progress const& p) {
            if (p.done == 2) {
                throw oops("shown");
            }
        };
        std::string what;
        try {
            auto g = gather(std::views::iota(1, 100) |
                            std::views::transform([](int i) { return nap(std::chrono::milliseconds(i)); }))
                         .on_progress(show);
            co_await std::move(g);
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "shown");
    };
    stopwatch const watch;
    run(body(), simulated());
}

}  // namespace
