// Handles that were moved into a combinator: however it ends, the tasks behind them are cancelled and have ended.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/first_success.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Tasks that would take an hour, and how many of them were cancelled and have cleaned up.
class sleepers {
public:
    join_handle<int> one() { return spawn(run()); }
    std::vector<join_handle<int>> some(int count) {
        std::vector<join_handle<int>> handles;
        while (count-- > 0) {
            handles.push_back(one());
        }
        return handles;
    }
    int cleaned = 0;

private:
    task<int> run() {
        bool asked = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            asked = true;
        }
        if (asked) {
            co_await sleep(1ms);
            ++cleaned;
            throw task_cancelled();
        }
        co_return 1;
    }
};

TEST_CASE("D1, GATHER-05: a range that throws after it has given handles: their tasks are cancelled and joined first") {
    auto const body = []() -> task<> {
        sleepers all;
        auto const gives = [&](int i) {
            if (i == 3) {
                throw oops("range");
            }
            return all.one();
        };
        auto const range = std::views::iota(0, 5) | std::views::transform(gives);
        CHECK(co_await how(gather(range)) == "range");
        CHECK(all.cleaned == 3);
        CHECK(co_await how(gather(settled, range)) == "range");
        CHECK(all.cleaned == 6);
        CHECK(co_await how(gather(wait_all, range)) == "range");
        CHECK(all.cleaned == 9);
        CHECK(co_await how(gather(range, {.limit = 10})) == "range");
        CHECK(all.cleaned == 12);
        // Of unknown size, with a request pending: the error goes first.
        auto filtered = std::views::iota(0, 5) | std::views::filter([](int i) { return i != 1; }) |
                              std::views::transform(gives);
        this_task::cancel();
        CHECK(co_await how(gather(filtered)) == "range");
        CHECK(this_task::uncancel() == 0);
        CHECK(all.cleaned == 14);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-04, GATHER-05: gather with a limit: handles that had no turn are cancelled and joined too, each asked once") {
    auto const body = []() -> task<> {
        sleepers all;
        auto const with_failure = [&] {
            auto handles = all.some(5);
            handles.insert(handles.begin() + 1, spawn(fails_after(1ms, "bad")));
            return handles;
        };
        std::vector<progress> seen;
        auto const keep = [&](progress const& p) { seen.push_back(p); };
        stopwatch const watch;
        CHECK(co_await how(gather(with_failure(), {.limit = 2}).on_progress(keep)) == "bad");
        CHECK(all.cleaned == 5);
        CHECK(watch.ms() == 2);
        REQUIRE(seen.size() == 6);
        CHECK(seen.back() == progress{6, 6, 0, 6});

        // The caller's own, and a view of them: as without a limit.
        auto kept = with_failure();
        CHECK(co_await how(gather(kept, {.limit = 2})) == "bad");
        CHECK(all.cleaned == 10);
        CHECK(kept.back().cancelled());
        auto viewed = with_failure();
        CHECK(co_await how(gather(viewed | std::views::reverse, {.limit = 5})) == "bad");
        CHECK(all.cleaned == 15);
        // A view that makes them is not read any further.
        int made = 0;
        auto const gives = [&](int i) {
            ++made;
            return i == 0 ? spawn(fails_after(1ms, "bad")) : all.one();
        };
        CHECK(co_await how(gather(std::views::iota(0, 9) | std::views::transform(gives), {.limit = 3})) == "bad");
        CHECK(made == 3);
        CHECK(all.cleaned == 17);
        // Behind a timeout they are tasks that run as well.
        std::vector<decltype(timeout(1h, all.one()))> limited;
        limited.push_back(timeout(1ms, all.one()));
        limited.push_back(timeout(1h, all.one()));
        CHECK(co_await how(gather(std::move(limited), {.limit = 1})) == "timeout");
        CHECK(all.cleaned == 19);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-14: gather of handles with a limit, cancelled: every task is asked once for each request, and joined") {
    auto const body = []() -> task<> {
        sleepers all;
        int deliveries = 0;
        for (bool const settles : {false, true}) {
            all.cleaned = deliveries = 0;
            auto handles = all.some(3);
            handles.push_back(spawn(resists(deliveries, 4, 10ms)));
            auto h = settles ? spawn(how(gather(settled, std::move(handles), {.limit = 2})))
                             : spawn(how(gather(std::move(handles), {.limit = 2})));
            co_await sleep(1ms);
            h.cancel();
            CHECK(co_await std::move(h) == "cancelled");
            CHECK(all.cleaned == 3);
            CHECK(deliveries == 1);
        }
        // While who awaits runs, and not waits: nobody has passed it on yet.
        deliveries = 0;
        auto stubborn = std::vector<join_handle<int>>();
        stubborn.push_back(spawn(after(1ms, 1)));
        stubborn.push_back(spawn(resists(deliveries, 4, 10ms)));
        stubborn.push_back(spawn(resists(deliveries, 4, 10ms)));
        auto const asks = [](progress const& p) {
            if (p.done == 1) {
                this_task::cancel();
            }
        };
        CHECK(co_await how(gather(std::move(stubborn), {.limit = 2}).on_progress(asks)) == "cancelled");
        CHECK(this_task::uncancel() == 0);
        CHECK(deliveries == 2);
        // Pending from the start: nothing has been taken from the range.
        all.cleaned = deliveries = 0;
        auto handles = all.some(2);
        handles.push_back(spawn(resists(deliveries, 4, 10ms)));
        co_await this_task::yield();
        this_task::cancel();
        CHECK(co_await how(gather(std::move(handles), {.limit = 2})) == "cancelled");
        CHECK(this_task::uncancel() == 0);
        CHECK(all.cleaned == 2);
        CHECK(deliveries == 1);
    };
    run(body(), simulated());
}

// Ends some time after its first request; counts how many it gets.
task<int> winds_down(std::atomic<int>& begun, std::atomic<int>& deliveries) {
    ++begun;
    for (int turns = 0; turns < 30;) {
        try {
            if (deliveries.load() == 0) {
                co_await sleep(1h);
            }
            ++turns;
            co_await this_task::yield();
        } catch (task_cancelled const&) {
            ++deliveries;
        }
    }
    co_return 1;
}

TEST_CASE("GATHER-14: on several workers: handles that had no turn are asked once each, also while who awaits runs") {
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            std::vector<std::atomic<int>> deliveries(8);
            std::atomic<int> begun{0};
            auto const when_all_have_begun = [&begun]() -> task<int> {
                while (begun != 8) {
                    co_await this_task::yield();
                }
                co_return 1;
            };
            std::vector<join_handle<int>> handles;
            handles.push_back(spawn(when_all_have_begun()));
            for (auto& each : deliveries) {
                handles.push_back(spawn(winds_down(begun, each)));
            }
            auto const asks = [](progress const& p) {
                if (p.done == 1) {
                    this_task::cancel();
                }
            };
            CHECK(co_await how(gather(std::move(handles), {.limit = 2}).on_progress(asks)) == "cancelled");
            CHECK(this_task::uncancel() == 0);
            for (auto& each : deliveries) {
                CHECK(each.load() == 1);
            }
        };
        for (unsigned round = 0; round < rounds(400); ++round) {
            rt.block_on(body());
        }
    }
}

TEST_CASE("GATHER-14: a handle in a timeout() is joined, also if a request is pending from the start") {
    auto const body = []() -> task<> {
        sleepers all;
        this_task::cancel();
        CHECK(co_await how(gather(timeout(1s, all.one()), timeout(2s, timeout(1s, all.one())), all.one())) ==
              "cancelled");
        CHECK(all.cleaned == 3);
        this_task::uncancel();
        this_task::cancel();
        CHECK(co_await how(select(timeout(1s, all.one()), all.one())) == "cancelled");
        CHECK(all.cleaned == 5);
        this_task::uncancel();
        auto kept = all.one();
        this_task::cancel();
        CHECK(co_await how(gather(settled, timeout(1s, kept))) == "cancelled");
        CHECK(kept.cancelled());
        this_task::uncancel();
    };
    run(body(), simulated());
}

TEST_CASE("ASC-13, D14: as_completed with a limit, left early: also handles that had no turn are cancelled and joined") {
    auto const body = []() -> task<> {
        sleepers all;
        auto leaves = [](auto&) -> task<> { co_await sleep(1ms); };
        co_await as_completed(all.some(5), leaves, {.limit = 2});
        CHECK(all.cleaned == 5);
        auto throws = [](auto& s) -> task<> {
            (void)co_await timeout(1ms, s.next());
            throw oops("body");
        };
        CHECK(co_await how(as_completed(all.some(3), throws, {.limit = 1})) == "timeout");
        CHECK(all.cleaned == 8);
        co_await as_completed(all.some(3), leaves);
        CHECK(all.cleaned == 11);

        auto kept = all.some(3);
        co_await sleep(1ms);
        co_await as_completed(kept, leaves, {.limit = 2});
        CHECK(kept[0].cancelled());
        CHECK_FALSE(kept[2].done());
        kept[2].cancel();
        co_await wait_for(kept[2]);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-14: first_success with a stagger: handles that had no turn are cancelled and joined") {
    auto const body = []() -> task<> {
        sleepers all;
        auto handles = all.some(3);
        handles.insert(handles.begin(), spawn(after(5ms, 7)));
        auto const won = co_await first_success(std::move(handles), {.stagger = 50ms});
        CHECK(won.index == 0);
        CHECK(won.value == 7);
        CHECK(won.errors.size() == 1);
        CHECK(all.cleaned == 3);

        // Nothing begins while a request is pending, but what runs is not left alone.
        auto pending = all.some(2);
        pending.push_back(spawn(after(0ms, 1)));
        co_await wait_for(pending.back());
        this_task::cancel();
        CHECK(co_await how(first_success(std::move(pending))) == "cancelled");
        CHECK(this_task::uncancel() == 0);
        CHECK(all.cleaned == 5);

        auto kept = all.some(2);
        kept.insert(kept.begin(), spawn(after(5ms, 7)));
        CHECK((co_await first_success(kept, {.stagger = 50ms})).index == 0);
        CHECK_FALSE(kept[1].done());
        for (auto& each : kept) {
            each.cancel();
            co_await wait_for(each);
        }
    };
    run(body(), simulated());
}

}  // namespace
