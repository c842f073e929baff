#include <magpie/runtime/detail/blocking.hpp>

#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Runs a function on the blocking pool and waits for it; not cancellable.
class on_the_pool final : public detail::waiter, public detail::blocking_call {
public:
    explicit on_the_pool(std::function<void()> what) : what_(std::move(what)) {}
    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        detail::submit_blocking(detail::required_scheduler("on_the_pool"), *this);
    }
    void await_resume() const noexcept {}
    void run() noexcept override {
        what_();
        wake();
    }
    bool try_cancel() noexcept override { return false; }

private:
    std::function<void()> what_;
};

struct pool_call {
    explicit pool_call(std::function<void()> w) : what(std::move(w)) {}
    on_the_pool operator co_await() { return on_the_pool(std::move(what)); }
    std::function<void()> what;
};

TEST_CASE("TH-01: the call runs on a thread that is no worker; the task goes on on a worker") {
    runtime rt(threads(2));
    auto const body = []() -> task<bool> {
        std::thread::id there;
        bool a_worker = true;
        std::function<void()> const what = [&] {
            there = std::this_thread::get_id();
            a_worker = detail::current_worker() != nullptr;
        };
        co_await pool_call(what);
        co_return !a_worker && there != std::this_thread::get_id() && detail::current_worker() != nullptr;
    };
    CHECK(rt.block_on(body()));
}

TEST_CASE("TH-03, TH-08, TH-09: each call runs once, never more at a time than there may be threads") {
    config c = threads(2);
    c.blocking_threads = 4;
    runtime rt(c);
    std::atomic<int> ran{0};
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    auto const calls = [&]() -> task<> {
        std::function<void()> const what = [&] {
            int const now_inside = ++inside;
            for (int seen = most; now_inside > seen && !most.compare_exchange_weak(seen, now_inside);) {
            }
            std::this_thread::yield();
            --inside;
            ++ran;
        };
        co_await pool_call(what);
    };
    std::vector<join_handle<void>> all;
    for (unsigned i = 0; i < rounds(1000); ++i) {
        all.push_back(rt.spawn(calls()));
    }
    for (auto& each : all) {
        each.blocking_wait();
    }
    CHECK(ran == static_cast<int>(rounds(1000)));
    CHECK(most <= 4);
    CHECK(rt.snapshot().blocking_threads <= 4);
    until([&] { return rt.snapshot().blocking_busy == 0; });
}

TEST_CASE("simulated clock: time stands still and no deadlock is declared while a call is in flight") {
    runtime rt(simulated());
    std::atomic<bool> slept{false};
    auto const body = [&]() -> task<bool> {
        auto const naps = [](std::atomic<bool>& flag) -> task<> {
            co_await sleep(1ns);
            flag = true;
        };
        auto napper = spawn(naps, std::ref(slept));
        bool too_early = false;
        std::function<void()> const what = [&] {
            for (int i = 0; i < 100; ++i) {
                std::this_thread::yield();
                too_early = too_early || slept;
            }
        };
        co_await pool_call(what);
        co_await std::move(napper);
        co_return !too_early && slept;
    };
    CHECK(rt.block_on(body()));
}

TEST_CASE("RUN-03: a call on the pool may block on its own runtime and run another") {
    runtime rt(threads(1));
    auto const value = [](int v) -> task<int> { co_return v; };
    auto const body = [&]() -> task<int> {
        int sum = 0;
        std::function<void()> const what = [&] { sum = rt.block_on(value(1)) + run(value(2), simulated()); };
        co_await pool_call(what);
        co_return sum;
    };
    CHECK(rt.block_on(body()) == 3);
}

TEST_CASE("TH-06: the runtime is not destroyed before a call has returned") {
    std::atomic<bool> begun{false};
    std::atomic<bool> ended{false};
    {
        runtime rt(threads(1));
        auto const body = [&]() -> task<> {
            std::function<void()> const what = [&] {
                begun = true;
                some_moments(20'000);
                ended = true;
            };
            co_await pool_call(what);
        };
        rt.spawn(body()).detach();
        until([&] { return begun.load(); });
    }
    CHECK(ended);
}

TEST_CASE("outside_work_scope: holds back time and the deadlock report; may outlive the runtime") {
    std::shared_ptr<detail::outside_work> work;
    std::optional<detail::outside_work_scope> kept;
    {
        runtime rt(simulated());
        auto const finds = [&]() -> task<> {
            work = detail::outside_work_of(detail::required_scheduler("test"));
            co_return;
        };
        rt.block_on(finds());
        std::atomic<bool> done{false};
        std::thread helper;
        auto const body = [&]() -> task<> {
            detail::outside_work_scope const holds(work);
            CHECK(work->any());
            time_point const before = now();
            helper = std::thread([&, scope = std::make_unique<detail::outside_work_scope>(work)] {
                rt.post([&] { done = true; });
            });
            while (!done) {
                co_await this_task::yield();
            }
            CHECK(now() == before);
        };
        rt.block_on(body());
        helper.join();
        CHECK_FALSE(work->any());
        kept.emplace(work);
        CHECK(work->any());
        work.reset();
    }
    kept.reset();
    detail::outside_work_scope const of_nobody(nullptr);
}

}  // namespace
