// Deadlines on several workers.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE(
    "WF-08: several workers: deadline, end and request race: one of value, timeout_error, cancellation; no leftovers") {
    runtime rt(threads(4));
    std::atomic<int> values{0};
    std::atomic<int> timeouts{0};
    auto owner = [&](unsigned i) -> task<> {
        auto work = [](unsigned k) -> task<int> {
            for (unsigned n = 0; n < k % 6; ++n) {
                co_await this_task::yield();
            }
            co_await sleep(std::chrono::microseconds(k % 40));
            co_return 1;
        };
        try {
            auto inner = timeout(std::chrono::microseconds(i % 50), work(i));
            values += co_await timeout(std::chrono::microseconds(i % 53), std::move(inner));
        } catch (timeout_error const&) {
            ++timeouts;
            CHECK(this_task::cancelling() <= 1);
        }
        co_await this_task::checkpoint();
    };
    int cancelled = 0;
    for (unsigned i = 0; i < rounds(4000); ++i) {
        auto h = rt.spawn(owner(i));
        if (i % 4 == 0) {
            some_moments(i % 32);
            h.cancel();
        }
        h.blocking_wait();
        cancelled += h.cancelled() ? 1 : 0;
        CHECK((h.cancelled() || h.result().has_value()));
        CHECK((i % 4 == 0 || !h.cancelled()));
    }
    CHECK(values + timeouts + cancelled >= static_cast<int>(rounds(4000)));
}

TEST_CASE("TO-14 on several workers: reschedule and expiry race: what reschedule said is what happens") {
    runtime rt(threads(4));
    auto owner = [](unsigned i) -> task<> {
        std::atomic<bool> moved{false};
        bool timed_out = false;
        auto mover = [](timeout_scope& scope, unsigned yields, std::atomic<bool>& result) -> task<> {
            for (unsigned n = 0; n < yields; ++n) {
                co_await this_task::yield();
            }
            result = scope.reschedule(std::nullopt);
        };
        auto block = [&](timeout_scope& scope) -> task<> {
            // Not cancellable: the scope lives until the mover has answered.
            co_await shielded(gather(mover(scope, i % 20, moved), mover(scope, i % 7, moved)));
            if (!moved) {
                co_await sleep(std::chrono::hours(1));  // the request may still be on its way
            }
        };
        try {
            co_await with_timeout(std::chrono::microseconds(1 + i % 13), block);
        } catch (timeout_error const&) {
            timed_out = true;
        }
        CHECK(timed_out != moved);
    };
    for (unsigned i = 0; i < rounds(2000); ++i) {
        rt.block_on(owner(i));
    }
}

}  // namespace
