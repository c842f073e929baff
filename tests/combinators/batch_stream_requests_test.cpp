// batch_stream: a request that reaches next(), and what comes after it.

#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <ranges>
#include <string>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

// What next() did: an index, "end", or what it threw.
template <class A>
task<std::string> seen(A next) {
    try {
        auto item = co_await std::move(next);
        co_return item ? std::to_string(item->index) : "end";
    } catch (timeout_error const&) {
        co_return "timeout";
    } catch (task_cancelled const&) {
        co_return "cancelled";
    } catch (child_cancelled const&) {
        co_return "dropped";
    } catch (std::exception const& e) {
        co_return e.what();
    }
}

TEST_CASE("BEY-03: a timeout around next() ends the stream: what was dropped is not made up for, nobody asks again") {
    auto const body = []() -> task<> {
        int begun = 0;
        auto const work = [&](int i) -> task<int> {
            ++begun;
            return after(i == 0 ? 10ms : 300ms, i);
        };
        trace all;
        auto reads = [&](auto& s) -> task<> {
            all.push_back(co_await seen(s.next()));
            all.push_back(co_await seen(timeout(50ms, s.next())));
            CHECK(this_task::cancelling() == 0);
            all.push_back(co_await seen(s.next()));
            all.push_back(co_await seen(s.next()));
        };
        stopwatch const watch;
        co_await batch_stream(std::views::iota(0, 8), work, reads, {.limit = 2});
        CHECK(all == trace{"0", "timeout", "end", "end"});
        CHECK(begun == 3);
        CHECK(watch.ms() == 60);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-03: a value that beats a timeout around next() is given; that others were dropped shows once") {
    auto const work = [](int i) -> task<int> {
        if (i == 1) {
            try {
                co_await sleep(1s);
            } catch (task_cancelled const&) {}
            co_return 1;
        }
        co_return co_await after(i % 3 == 0 ? 2s : i == 2 ? 2s : 5ms, i);
    };
    auto const body = [&]() -> task<> {
        trace all;
        auto reads = [&](auto& s) -> task<> {
            for (int n = 0; n < 4; ++n) {
                all.push_back(co_await seen(timeout(50ms, s.next())));
            }
        };
        co_await batch_stream(std::views::iota(0, 8), work, reads, {.limit = 3});
        CHECK(all == trace{"1", "dropped", "end", "end"});
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-14: one request is one task_cancelled, also if the consumer catches it and asks again") {
    auto const body = []() -> task<> {
        trace all;
        auto reads = [&](auto& s) -> task<> {
            for (int n = 0; n < 3; ++n) {
                all.push_back(co_await seen(s.next()));
            }
        };
        auto const slow = [](int i) { return after(100ms, i); };
        auto h = spawn(batch_stream(std::views::iota(0, 9), slow, reads, {.limit = 4}));
        co_await sleep(50ms);
        h.cancel();
        co_await std::move(h);
        CHECK(all == trace{"cancelled", "end", "end"});

        // An item's error goes first; the request that came with it stays pending, and next() does not deliver it.
        all.clear();
        auto const fails = [](int i) -> task<int> {
            if (i != 0) {
                co_return co_await after(1h, i);
            }
            bool asked = false;
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                asked = true;
            }
            if (asked) {
                throw oops("while unwinding");
            }
            co_return 0;
        };
        auto g = spawn(batch_stream(std::views::iota(0, 9), fails, reads, {.limit = 4}));
        co_await sleep(50ms);
        g.cancel();
        co_await wait_for(g);
        CHECK(all == trace{"while unwinding", "end", "end"});
    };
    run(body(), simulated());
}

}  // namespace
