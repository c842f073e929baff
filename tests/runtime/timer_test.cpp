#include <magpie/runtime/detail/timer.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

class noting final : public detail::timer {
public:
    explicit noting(std::function<void()> what) : what_(std::move(what)) {}
    void expired() noexcept override { what_(); }

private:
    std::function<void()> what_;
};

TEST_CASE("timer: expires once, at its time, in order; a disarmed one never does") {
    std::vector<int> order;
    auto const body = [&]() -> task<> {
        time_point const start = now();
        noting a([&] { order.push_back(1); CHECK(now() - start == 1s); });
        noting b([&] { order.push_back(2); CHECK(now() - start == 2s); });
        noting never([&] { order.push_back(3); });
        detail::arm(b, start + 2s);
        detail::arm(never, start + 1500ms);
        detail::arm(a, start + 1s);
        co_await sleep(1200ms);
        CHECK(detail::disarm(never));
        CHECK_FALSE(detail::disarm(never));
        CHECK_FALSE(detail::disarm(a));
        co_await sleep(1s);
        CHECK_FALSE(detail::disarm(b));
    };
    run(body(), simulated());
    CHECK(order == std::vector{1, 2});
}

TEST_CASE("timer: may be armed again after it expired or was disarmed, also from expired() itself") {
    int times = 0;
    auto const body = [&]() -> task<> {
        noting* self = nullptr;
        noting again([&] {
            if (++times < 3) {
                detail::arm(*self, now() + 1s);
            }
        });
        self = &again;
        detail::arm(again, now() + 1s);
        CHECK(detail::disarm(again));
        detail::arm(again, now() + 1s);
        co_await sleep(10s);
        CHECK_FALSE(detail::disarm(again));
    };
    run(body(), simulated());
    CHECK(times == 3);
}

TEST_CASE("timer: one that was never armed is not armed") {
    noting t([] {});
    CHECK_FALSE(detail::disarm(t));
}

TEST_CASE("timer: disarmed from another thread against its expiry: it expires, or it is disarmed, never both or none") {
    runtime rt(threads(2));
    unsigned const n = rounds(150);
    bool right = true;
    for (unsigned r = 0; r < n; ++r) {
        std::atomic<int> fired{0};
        std::atomic<bool> armed{false};
        std::atomic<bool> over{false};
        noting t([&] { fired.store(1); });
        auto const arms = [&]() -> task<> {
            detail::arm(t, now() + std::chrono::microseconds(r % 40));
            armed = true;
            while (!over) {
                co_await this_task::yield();
            }
        };
        auto h = rt.spawn(arms());
        until([&] { return armed.load(); });
        bool const disarmed = detail::disarm(t);
        if (!disarmed) {
            until([&] { return fired == 1; });  // its very last touch
        }
        over = true;
        h.blocking_wait();
        right = right && fired == (disarmed ? 0 : 1);
    }
    CHECK(right);
    CHECK(rt.snapshot().totals().timers == 0);
}

}  // namespace
