// More workers than CPUs: the kernel stops any of them anywhere, for milliseconds, and what they leave half done must
// not be lost, nor done twice.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <vector>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<unsigned> fib(unsigned n) {
    if (n < 2) {
        co_return n;
    }
    auto [a, b] = co_await gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

TEST_CASE("many workers on few CPUs: forks and joins") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(40) + 1; ++r) {
            CHECK(rt.block_on(fib(15)) == 610);
        }
    }
}

task<> storm(std::atomic<unsigned>& ran, unsigned depth) {
    ++ran;
    co_await this_task::yield();
    if (depth != 0) {
        std::vector<join_handle<void>> handles;
        for (unsigned i = 0; i < 8; ++i) {
            handles.push_back(spawn(storm(ran, depth - 1)));
        }
        for (auto& each : handles) {
            co_await each;
        }
    }
}

TEST_CASE("many workers on few CPUs: a storm of spawns runs each task once, and all sleep behind it") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(10) + 1; ++r) {
            std::atomic<unsigned> ran{0};
            rt.block_on(storm(ran, 4));
            CHECK(ran == 1 + 8 + 64 + 512 + 4096);
        }
        until([&] { return rt.snapshot().tasks_live == 0; });
    }
}

TEST_CASE("many workers on few CPUs: half of them are stuck, the others do what those would have done") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<unsigned> ran{0};
        std::atomic<bool> go{false};
        auto const stuck = [&]() -> task<> {
            for (int i = 0; i < 10; ++i) {
                spawn_detached(
                    [](std::atomic<unsigned>& into) -> task<> {
                        co_await sleep(std::chrono::milliseconds{1});
                        ++into;
                    },
                    std::ref(ran));
            }
            co_await this_task::yield();
            until([&] { return go.load(); });
        };
        std::vector<join_handle<void>> handles;
        for (unsigned i = 0; i < workers / 2; ++i) {
            handles.push_back(rt.spawn(stuck()));
        }
        until([&] { return ran == workers / 2 * 10; });
        go = true;
        for (auto& each : handles) {
            each.blocking_wait();
        }
        CHECK(ran == workers / 2 * 10);
    }
}

TEST_CASE("a million tasks alive at once") {
    runtime rt(threads(2));
    unsigned const count = rounds(1'000'000);
    auto const all_wait = [&](std::atomic<unsigned>& ran) -> task<> {
        std::vector<join_handle<void>> handles;
        handles.reserve(count);
        for (unsigned i = 0; i < count; ++i) {
            handles.push_back(spawn(
                [](std::atomic<unsigned>& into) -> task<> {
                    co_await this_task::yield();
                    ++into;
                },
                std::ref(ran)));
        }
        for (auto& each : handles) {
            co_await each;
        }
    };
    std::atomic<unsigned> ran{0};
    rt.block_on(all_wait(ran));
    CHECK(ran == count);
}

}  // namespace
