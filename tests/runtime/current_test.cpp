#include <magpie/runtime/detail/current.hpp>

#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("current: nothing on a foreign thread, before, during and after a run") {
    CHECK(detail::current_worker() == nullptr);
    CHECK(detail::current_context() == nullptr);
    auto const body = []() -> task<> {
        std::thread([] { CHECK(detail::current_worker() == nullptr); }).join();
        CHECK(detail::current_worker() != nullptr);
        co_return;
    };
    run(body(), simulated());
    run(body(), threads(2));
    CHECK(detail::current_worker() == nullptr);
    CHECK(detail::current_context() == nullptr);
}

TEST_CASE("current: the worker's own driver, whatever worker the task goes on on") {
    runtime rt(threads(3));
    std::atomic<int> wrong{0};
    auto const looks = [](std::atomic<int>& errors) -> task<> {
        for (int i = 0; i < 200; ++i) {
            errors += &detail::current_driver() != &detail::current_worker()->loop() ? 1 : 0;
            errors += detail::current_worker()->index() != this_task::worker() ? 1 : 0;
            co_await this_task::yield();
        }
    };
    std::vector<join_handle<void>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(rt.spawn(looks, std::ref(wrong)));
    }
    for (auto& each : all) {
        each.blocking_wait();
    }
    CHECK(wrong == 0);
}

TEST_CASE("budget_exhausted: true once in a while on the real clock, never on the simulated one or on a foreign thread") {
    auto const counts = []() -> task<int> {
        int times = 0;
        for (int i = 0; i < 1000; ++i) {
            times += detail::budget_exhausted() ? 1 : 0;
        }
        co_return times;
    };
    CHECK(run(counts(), simulated()) == 0);
    CHECK_FALSE(detail::budget_exhausted());
    auto const with_others = [&]() -> task<int> {
        auto const nothing = []() -> task<> { co_return; };
        for (int i = 0; i < 5; ++i) {
            spawn_detached(nothing, {.pinned = true});
        }
        co_return co_await counts();
    };
    int const times = run(with_others(), threads(1));
    CHECK(times >= 10);
    CHECK(times <= 20);  // 1000 / 61
}

}  // namespace
