// The scheduler as a whole: deadlocks it names, drivers it owns, what is left when it is made and fails.

#include <magpie/runtime/scheduler/scheduler.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/simulated_driver.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> endless() {
    co_await sleep_until(time_point::max());
}

task<> awaits(join_handle<void> h) {
    co_await std::move(h);
}

std::string deadlock_message(runtime& rt, task<> main) {
    try {
        rt.block_on(std::move(main));
    } catch (deadlock_error const& e) {
        return e.what();
    }
    return "";
}

TEST_CASE("DBG-08: a run that can never go on throws deadlock_error, which names who waits for what, and where it was spawned") {
    runtime rt(simulated());
    auto const body = []() -> task<> {
        auto inner = spawn(endless(), {.name = "the inner one"});
        auto outer = spawn(awaits(std::move(inner)), {.name = "the outer one"});
        co_await std::move(outer);
    };
    std::string const said = deadlock_message(rt, body());
    for (char const* const part : {"main", "the inner one", "the outer one", "sleep", "scheduler_test.cpp"}) {
        CAPTURE(part);
        CHECK(said.find(part) != std::string::npos);
    }
}

TEST_CASE("DBG-08: the main task was spawned where run() or block_on() was called") {
    auto const here = [](unsigned line) {
        return "main (spawned at " + std::string(__FILE__) + ':' + std::to_string(line) + ')';
    };
    std::string said;
    unsigned line = 0;
    try {
        line = std::source_location::current().line() + 1;
        run(endless(), simulated());
    } catch (deadlock_error const& e) {
        said = e.what();
    }
    CHECK(said.find(here(line)) != std::string::npos);

    runtime rt(simulated());
    try {
        line = std::source_location::current().line() + 1;
        rt.block_on(endless());
    } catch (deadlock_error const& e) {
        said = e.what();
    }
    CHECK(said.find(here(line)) != std::string::npos);
}

TEST_CASE("DBG-08: two tasks that await each other are a deadlock") {
    runtime rt(simulated());
    std::vector<shared_handle<void>> both(2);
    auto const waits_for = [](std::vector<shared_handle<void>>& all, std::size_t other) -> task<> {
        co_await this_task::yield();
        co_await all[other];
    };
    auto const body = [&]() -> task<> {
        both[0] = spawn({.name = "tick"}, waits_for, std::ref(both), 1).share();
        both[1] = spawn({.name = "tock"}, waits_for, std::ref(both), 0).share();
        co_await both[0];
    };
    std::string const said = deadlock_message(rt, body());
    CHECK(said.find("tick") != std::string::npos);
    CHECK(said.find("tock") != std::string::npos);
    both.clear();
}

TEST_CASE("deadlock_error: the runtime goes on; the stuck task can still be cancelled, by the next program too") {
    runtime rt(simulated());
    CHECK_THROWS_AS(rt.block_on(endless()), deadlock_error);
    CHECK(rt.tasks().size() == 1);
    auto const value = []() -> task<int> {
        co_await sleep(1h);
        co_return 3;
    };
    CHECK(rt.block_on(value()) == 3);
    auto h = rt.spawn(endless());
    CHECK_THROWS_AS(h.blocking_wait(), deadlock_error);
    CHECK(h.cancel());
    h.blocking_wait();
    CHECK(h.cancelled());
    CHECK(static_cast<bool>(rt.shutdown(0s)));
    CHECK(rt.tasks().empty());
}

TEST_CASE("the simulated clock: time passes only when nothing is ready, then at once to the next timer") {
    auto const body = []() -> task<> {
        time_point const start = now();
        for (int i = 0; i < 1000; ++i) {
            co_await this_task::yield();
        }
        CHECK(now() == start);
        auto other = spawn([]() -> task<> { co_await sleep(10h); });
        co_await sleep(1h);
        CHECK(now() - start == 1h);
        co_await std::move(other);
        CHECK(now() - start == 10h);
    };
    run(body(), simulated());
}

TEST_CASE("a scheduler whose third event loop cannot be made: the error passes on, nothing is left") {
    int made = 0;
    int alive = 0;
    class counted_driver : public driver {
    public:
        explicit counted_driver(int& count) : count_(count) { ++count_; }
        ~counted_driver() override { --count_; }
        void poll() override {}
        void park(time_point) override {}
        void unpark() noexcept override {}
        bool has_work() const noexcept override { return false; }
        std::size_t reap() noexcept override { return 0; }
        std::size_t in_flight() const noexcept override { return 0; }
        std::uint64_t completions() const noexcept override { return 0; }
        char const* name() const noexcept override { return "counted"; }

    private:
        int& count_;
    };
    auto const factory = [&](config const&, unsigned) -> std::unique_ptr<driver> {
        if (++made == 3) {
            throw std::runtime_error("no third ring");
        }
        return std::make_unique<counted_driver>(alive);
    };
    CHECK_THROWS_WITH(detail::scheduler(threads(4), factory), "no third ring");
    CHECK(alive == 0);
}

TEST_CASE("~runtime under the simulated clock: sleeping leftovers are cancelled, and end") {
    event_log log;
    config c = simulated();
    c.hooks.on_unhandled = log.listener();
    tally count;
    auto const holds = [](token) -> task<> { co_await sleep(1h); };
    {
        runtime rt(c);
        for (int i = 0; i < 5; ++i) {
            rt.spawn(holds, token(count)).detach();
        }
        rt.block_on(this_task::yield());
        CHECK(count.alive >= 5);
    }
    CHECK(count.alive == 0);
    CHECK(log.size() == 0);
}

}  // namespace
