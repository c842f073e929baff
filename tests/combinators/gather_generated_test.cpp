// gather of an async_generator that tells how far it has come.

#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// As text: done, failed, in flight, total or "?".
std::string text_of(progress const& p) {
    auto const number = [](std::size_t n) { return std::to_string(n) + " "; };
    return number(p.done) + number(p.failed) + number(p.in_flight) + (p.total ? std::to_string(*p.total) : "?");
}

// A task each `pause`, of 10 ms each; the one with the index `bad` fails. Then, after another pause, the end.
async_generator<task<int>> jobs(int count, duration pause, int bad = -1) {
    for (int i = 0; i < count; ++i) {
        if (i != 0) {
            co_await sleep(pause);
        }
        auto job = i == bad ? fails_after(10ms, "bad") : after(10ms, i);
        co_yield std::move(job);
    }
    co_await sleep(pause);
}

TEST_CASE("BEY-10: progress of a generated gather: one report for each end, the total once the generator has ended") {
    auto const body = []() -> task<> {
        trace seen;
        auto const keep = [&](progress const& p) { seen.push_back(text_of(p)); };
        auto const values = co_await gather(jobs(4, 4ms)).on_progress(keep);
        CHECK(values == std::vector{0, 1, 2, 3});
        // Begun at 0, 4, 8, 12 ms; the generator ends at 16 ms.
        CHECK(seen == trace{"1 0 2 ?", "2 0 2 ?", "3 0 1 4", "4 0 0 4"});
        // It ends after the last task: its number is never known.
        seen.clear();
        co_await gather(jobs(2, 20ms)).on_progress(keep);
        CHECK(seen == trace{"1 0 0 ?", "2 0 0 ?"});
        // Bounded, and an lvalue generator.
        seen.clear();
        auto named = jobs(3, 1ms);
        co_await gather(named, {.limit = 1}).on_progress(keep);
        CHECK(seen.size() == 3);
        CHECK(std::ranges::all_of(seen, [](std::string const& report) { return report.ends_with("0 0 ?"); }));
        seen.clear();
        co_await gather(jobs(0, 1ms)).on_progress(keep);
        CHECK(seen.empty());
    };
    run(body(), simulated());
}

TEST_CASE("progress of a generated gather: failures count; what is cancelled by the first of them is told too") {
    auto const body = []() -> task<> {
        trace seen;
        auto const keep = [&](progress const& p) { seen.push_back(text_of(p)); };
        auto const o = co_await gather(settled, jobs(3, 1ms, 1)).on_progress(keep);
        CHECK(o.size() == 3);
        CHECK(seen == trace{"1 0 2 3", "2 1 1 3", "3 1 0 3"});
        seen.clear();
        CHECK(co_await how(gather(wait_all, jobs(3, 1ms, 0)).on_progress(keep)) == "bad");
        CHECK(seen == trace{"1 1 2 3", "2 1 1 3", "3 1 0 3"});
        seen.clear();
        CHECK(co_await how(gather(jobs(3, 1ms, 0)).on_progress(keep)) == "bad");
        CHECK(seen == trace{"1 1 2 3", "2 2 1 3", "3 3 0 3"});
    };
    run(body(), simulated());
}

TEST_CASE("what on_progress throws fails a generated gather, and is told nothing more") {
    auto const body = []() -> task<> {
        int calls = 0;
        auto const throws = [&](progress const& p) {
            ++calls;
            if (p.done == 2) {
                throw oops("shown");
            }
        };
        stopwatch const watch;
        CHECK(co_await how(gather(jobs(9, 4ms)).on_progress(throws)) == "shown");
        CHECK(calls == 2);
        CHECK(watch.ms() == 14);  // the rest was cancelled
        calls = 0;
        CHECK(co_await how(gather(settled, jobs(9, 4ms)).on_progress(throws)) == "shown");
        CHECK(calls == 2);
        calls = 0;
        CHECK(co_await how(gather(wait_all, jobs(9, 4ms)).on_progress(throws)) == "shown");
        CHECK(calls == 2);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-10: progress on several workers: one call at a time, done grows by one, to the number of tasks") {
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const makes = [](int count) -> async_generator<task<int>> {
            auto const works = [](int i) -> task<int> {
                for (int n = 0; n < i % 3; ++n) {
                    co_await this_task::yield();
                }
                co_return i;
            };
            for (int i = 0; i < count; ++i) {
                co_yield works(i);
            }
        };
        for (unsigned round = 0; round < rounds(200); ++round) {
            std::size_t told = 0;  // not atomic: one call at a time
            bool in_order = true;
            auto const show = [&](progress const& p) {
                in_order = in_order && p.done == ++told && p.done + p.in_flight <= 100 && p.total.value_or(100) == 100;
            };
            auto const values = rt.block_on(gather(makes(100), {.limit = round % 9}).on_progress(show));
            REQUIRE(values.size() == 100);
            CHECK(std::ranges::is_sorted(values));
            CHECK(told == 100);
            CHECK(in_order);
        }
    }
}

}  // namespace
