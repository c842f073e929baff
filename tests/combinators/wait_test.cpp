// wait(): the WAIT rows.

#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using indices = std::vector<std::size_t>;
using handles = std::vector<join_handle<int>>;

template <class R>
concept waitable = requires(R&& r) { wait(std::forward<R>(r)); };
static_assert(waitable<handles&> && !waitable<handles>);  // they would die
static_assert(waitable<std::vector<join_handle<int>*>> && waitable<std::vector<handle_ref>>);
static_assert(waitable<std::vector<shared_handle<int>>&> && waitable<std::array<join_handle<int>, 2>&>);

handles naps(std::initializer_list<int> milliseconds) {
    handles result;
    for (int const each : milliseconds) {
        result.push_back(spawn(after(std::chrono::milliseconds(each), each)));
    }
    return result;
}

TEST_CASE("WAIT-01: waits for all by default; on ended tasks it takes no time and does not suspend") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto h = naps({30, 10, 20});
        auto r = co_await wait(h);
        CHECK(watch.ms() == 30);
        CHECK(r.done == std::vector{&h[0], &h[1], &h[2]});
        CHECK(r.done_index == indices{0, 1, 2});
        CHECK((r.pending.empty() && r.pending_index.empty() && !r.timed_out));
        trace seen;
        auto other = spawn(says(seen, "other"));
        r = co_await wait(h);
        CHECK(r.done.size() == 3);
        CHECK(seen.empty());
        co_await std::move(other);
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-02, WAIT-03, WAIT-16: first_completed; the others go on, and pending can be waited for again") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto h = naps({30, 10, 20, 10});
        auto r = co_await wait(h, {.until = first_completed});
        CHECK(watch.ms() == 10);
        CHECK(r.done_index == indices{1, 3});  // both had ended when the waiter ran
        CHECK(r.pending_index == indices{0, 2});
        CHECK(r.pending == std::vector{&h[0], &h[2]});
        r = co_await wait(r.pending, {.until = first_completed});
        CHECK(watch.ms() == 20);
        CHECK(r.done == std::vector{&h[2]});
        CHECK(r.done_index == indices{1});
        r = co_await wait(r.pending);
        CHECK(watch.ms() == 30);
        CHECK(r.done == std::vector{&h[0]});
    };
    run(body(), simulated());
}

TEST_CASE(
    "WAIT-04, WAIT-05, WAIT-07: first_exception: at once if one has failed, else when one fails; errors are not thrown") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    auto const body = []() -> task<> {
        stopwatch const watch;
        {
            handles h;
            h.push_back(spawn(after(5ms, 1)));
            h.push_back(spawn(fails_after(10ms, "failed")));
            h.push_back(spawn(after(1s, 2)));
            auto r = co_await wait(h, {.until = first_exception});
            CHECK(watch.ms() == 10);
            CHECK(r.done_index == indices{0, 1});
            CHECK_FALSE(r.timed_out);
            r = co_await wait(h, {.until = first_exception});
            CHECK(watch.ms() == 10);
            CHECK(r.pending_index == indices{2});
            CHECK_FALSE(h[2].done());
        }
    };
    run(body(), c);
    CHECK(unhandled.size() == 1);  // wait() has not looked at it
}

TEST_CASE("WAIT-06, WAIT-17: a cancelled task has ended, but has not failed") {
    auto const body = []() -> task<> {
        auto h = naps({1000, 20});
        co_await sleep(1ms);
        h[0].cancel();
        stopwatch const watch;
        auto r = co_await wait(h, {.until = first_exception});
        CHECK(watch.ms() == 19);
        CHECK(r.done_index == indices{0, 1});
        CHECK(h[0].cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-08, WAIT-10: the time is up: no error, pending goes on; an end at that very moment is done") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto h = naps({10, 20, 30});
        co_await this_task::yield();  // their timers come before ours
        auto r = co_await wait(h, {.timeout = 20ms});
        CHECK(watch.ms() == 20);
        CHECK(r.timed_out);
        CHECK(r.done_index == indices{0, 1});
        CHECK(r.pending_index == indices{2});
        auto s = co_await wait(r.pending, {.timeout = 1h});
        CHECK(watch.ms() == 30);
        CHECK_FALSE(s.timed_out);
        auto t = co_await wait(h, {.timeout = duration::max()});
        CHECK_FALSE(t.timed_out);
        co_await sleep(2h);  // the unused timer is gone
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-09: a timeout of zero or less polls: what is ready has one turn") {
    auto const body = []() -> task<> {
        for (duration const d : {duration(0), duration(-1)}) {
            trace seen;
            std::vector<join_handle<>> h;
            h.push_back(spawn(says(seen, "ready")));
            h.push_back(spawn(nap(1ms)));
            auto r = co_await wait(h, {.timeout = d});
            CHECK(r.done_index == indices{0});
            CHECK(r.pending_index == indices{1});
            CHECK(r.timed_out);
        }
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-11: the same task counts once, where it came first") {
    auto const body = []() -> task<> {
        auto h = naps({10, 1000});
        std::vector<join_handle<int>*> const p{&h[1], &h[0], &h[0], &h[1]};
        auto r = co_await wait(p, {.until = first_completed});
        CHECK(r.done_index == indices{1});
        CHECK(r.pending_index == indices{0});
        auto const shared = std::move(h[0]).share();
        std::vector<shared_handle<int>> copies{shared, shared};
        auto s = co_await wait(copies);
        CHECK(s.done == std::vector{copies.data()});
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-12: no handles is an error") {
    auto const body = []() -> task<> {
        handles none;
        bool refused = false;
        try {
            co_await wait(none);
        } catch (std::invalid_argument const&) {
            refused = true;
        }
        CHECK(refused);
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-13: views, single passes, mixed types by handle_ref") {
    auto const body = []() -> task<> {
        auto a = spawn(after(5ms, 1));
        auto b = spawn(after(10ms, std::string("b")));
        std::vector<handle_ref> refs{a.ref(), b.ref()};
        auto r = co_await wait(refs, {.until = first_completed});
        CHECK(r.done == std::vector{a.ref()});
        CHECK(r.pending == std::vector{b.ref()});
        auto moved = std::move(b);
        auto s = co_await wait(std::move(r.pending));
        CHECK(s.done.size() == 1);
        CHECK(moved.done());

        auto h = naps({3, 1, 2});
        auto t = co_await wait(h | std::views::drop(1));
        CHECK(t.done == std::vector{&h[1], &h[2]});
        auto u = co_await wait(std::views::iota(0, 3) |
                               std::views::transform([&](int i) { return &h[static_cast<std::size_t>(i)]; }));
        CHECK(u.done.size() == 3);
        std::deque<join_handle<>> d;
        d.push_back(spawn(nap(1ms)));
        auto v = co_await wait(d);
        CHECK(v.done == std::vector{&d[0]});
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-15: cancelling the waiter leaves the tasks running") {
    auto const body = []() -> task<> {
        auto h = naps({10, 20});
        auto waits = [&]() -> task<> { co_await wait(h); };
        auto w = spawn(waits());
        co_await sleep(1ms);
        w.cancel();
        co_await sleep(1ms);
        CHECK(w.cancelled());
        int const sum = co_await h[0] + co_await h[1];
        CHECK(sum == 30);

        auto pending = [&]() -> task<> {
            auto k = naps({10});
            this_task::cancel();
            co_await wait(k);
        };
        auto p = spawn(pending());
        auto polls = [&]() -> task<> {
            auto k = naps({10});
            this_task::cancel();
            co_await wait(k, {.timeout = 0s});
        };
        auto q = spawn(polls());
        co_await sleep(1ms);
        CHECK(p.cancelled());
        CHECK(q.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("WAIT-18: polling leaves nothing behind; timeout() around it ends the wait only") {
    auto const body = []() -> task<> {
        auto h = naps({1'000'000});
        for (unsigned i = 0; i < rounds(20'000); ++i) {
            auto r = co_await wait(h, {.timeout = i % 2 == 0 ? duration(0) : duration(1)});
            if (!r.timed_out) {
                CHECK(false);
            }
        }
        bool timed_out = false;
        try {
            co_await timeout(1ms, wait(h));
        } catch (timeout_error const&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK_FALSE(h[0].done());
        h[0].cancel();
    };
    run(body(), simulated());
}

TEST_CASE(
    "WAIT-08, WAIT-15: several workers: ends, timers and requests race; done and pending are a partition") {
    config c = threads(4);
    c.hooks.on_unhandled = [](event_info const&) {};  // a cancelled owner leaves errors that nobody has seen
    runtime rt(c);
    auto work = [](unsigned k) -> task<int> {
        for (unsigned n = 0; n < k % 5; ++n) {
            co_await this_task::yield();
        }
        if (k % 7 == 0) {
            throw oops("x");
        }
        co_return 1;
    };
    std::array<wait_until, 3> const modes{first_completed, first_exception, all_completed};
    auto owner = [&](unsigned i) -> task<> {
        handles h;
        for (unsigned k = 0; k < 6; ++k) {
            h.push_back(spawn(work(i + k)));
        }
        std::vector<join_handle<int>*> left;
        for (auto& each : h) {
            left.push_back(&each);
        }
        while (!left.empty()) {
            auto r = co_await wait(left, {.until = modes[i % 3], .timeout = std::chrono::microseconds(1 + i % 30)});
            CHECK(r.done.size() + r.pending.size() == left.size());
            bool right = true;
            for (auto* each : r.done) {
                right = right && each->done();
            }
            CHECK(right);
            left = std::move(r.pending);
        }
        for (auto& each : h) {
            CHECK(each.done());
            (void)each.result();
        }
    };
    for (unsigned i = 0; i < rounds(2000); ++i) {
        auto h = rt.spawn(owner(i));
        if (i % 3 == 0) {
            some_moments(i % 40);
            h.cancel();
        }
        h.blocking_wait();
        CHECK((h.cancelled() || h.result().has_value()));
    }
}

}  // namespace
