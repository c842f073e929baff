// A runtime inside somebody else's event loop: no threads, one descriptor.

#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <poll.h>

#include <chrono>
#include <thread>

namespace {

using namespace magpie;
using namespace std::chrono_literals;

config driven_from_outside() {
    config settings;
    settings.drive = magpie::external;
    return settings;
}

// The foreign event loop: waits for the descriptor, then lets the runtime run, until the task has ended.
template <class Handle>
void run_until_done(runtime& rt, Handle const& handle, std::size_t budget = 1024) {
    while (!handle.done()) {
        pollfd readable{.fd = rt.driver_fd(), .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&readable, 1, -1) == 1);
        rt.run_ready(budget);
    }
}

task<std::thread::id> yield_and_sleep(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
        co_await sleep(100us);
    }
    co_return std::this_thread::get_id();
}

TEST_CASE("tasks and timers run on the thread that calls run_ready()") {
    runtime rt(driven_from_outside());
    auto const handle = rt.spawn(yield_and_sleep(10));
    run_until_done(rt, handle);
    CHECK(handle.result().value() == std::this_thread::get_id());
    CHECK(rt.workers() == 1);
}

TEST_CASE("a budget of one turn leaves the descriptor readable until everything has run") {
    runtime rt(driven_from_outside());
    auto const first = rt.spawn(yield_and_sleep(1));
    auto const second = rt.spawn(yield_and_sleep(1));
    run_until_done(rt, first, 1);
    run_until_done(rt, second, 1);
    CHECK(second.done());
}

TEST_CASE("run_ready() never sleeps: nothing to do gives no turns") {
    runtime rt(driven_from_outside());
    auto sleeper = rt.spawn(sleep_until(time_point::max()));
    while (rt.run_ready() != 0) {
    }
    CHECK(rt.run_ready() == 0);
    sleeper.cancel();
    run_until_done(rt, sleeper);
    CHECK(sleeper.cancelled());
}

TEST_CASE("what another thread spawns makes the descriptor readable") {
    runtime rt(driven_from_outside());
    for (int round = 0; round < 200; ++round) {
        join_handle<std::thread::id> handle;
        std::thread other([&] { handle = rt.spawn(yield_and_sleep(0)); });
        pollfd readable{.fd = rt.driver_fd(), .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&readable, 1, -1) == 1);
        other.join();
        run_until_done(rt, handle);
    }
}

TEST_CASE("block_on() drives the runtime itself, and so does its end") {
    runtime rt(driven_from_outside());
    CHECK(rt.block_on(yield_and_sleep(3)) == std::this_thread::get_id());
    rt.spawn(sleep_until(time_point::max())).detach();
    CHECK(rt.shutdown(10s));
}

TEST_CASE("block_on() sleeps while there is nothing to do") {
    for (io_backend const backend : {io_backend::automatic, io_backend::poll}) {
        config c = driven_from_outside();
        c.io.backend = backend;
        runtime rt(c);
        rt.block_on(sleep(20ms));
        CHECK(rt.snapshot().totals().parks <= 10);
        CHECK(rt.driver_fd() >= 0);
        rt.block_on(sleep(20ms));
        CHECK(rt.snapshot().totals().parks <= 20);
        auto const handle = rt.spawn(yield_and_sleep(10));  // and the descriptor goes on telling
        run_until_done(rt, handle);
    }
}

TEST_CASE("with threads of its own a runtime refuses to be driven") {
    config settings;
    settings.workers = 1;
    runtime rt(settings);
    CHECK_THROWS_AS((void)rt.driver_fd(), usage_error);
    CHECK_THROWS_AS((void)rt.run_ready(), usage_error);
}

} // namespace
