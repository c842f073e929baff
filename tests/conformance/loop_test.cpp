// Rows about loops, threads and the end of a runtime that need the real clock, or a process of their own.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/to_thread.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <combinators/support/naps.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("LOOP-06: a sleep adds up with the next, and a value comes through it") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto const [a, b] = co_await gather(after(5ms, 1), after(10ms, 2));
        CHECK(a + b == 3);
        co_await sleep(5ms);
        co_await sleep(5ms);
        CHECK(watch.ms() == 20);
    };
    run(body(), simulated());
}

TEST_CASE("TH-13: what a foreign thread cancels before its start never runs; what runs already can be waited for") {
    runtime rt(threads(1));
    std::atomic<bool> holds{false};
    std::atomic<bool> let_go{false};
    std::atomic<bool> ran{false};
    std::atomic<bool> over{false};
    auto const holder = [&]() -> task<> {
        holds = true;
        until([&] { return let_go.load(); });
        over = true;
        co_return;
    };
    auto const late = [&]() -> task<> {
        ran = true;
        co_return;
    };
    auto running = rt.spawn(holder());
    until([&] { return holds.load(); });
    auto waiting = rt.spawn(late());
    CHECK(waiting.cancel());
    CHECK(running.cancel());
    CHECK_FALSE(running.done());  // a request does not stop what runs
    std::thread helper([&] { let_go = true; });
    running.blocking_wait();  // until it has left the task's code
    CHECK(over);
    helper.join();
    waiting.blocking_wait();
    CHECK(waiting.cancelled());
    CHECK_FALSE(ran);
    CHECK(running.result().has_value());
}

TEST_CASE("TH-13: cancelled from a foreign thread while two or eight workers start it: it never ran, or it ran once") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        bool right = true;
        for (unsigned i = 0; i < rounds(5000); ++i) {
            std::atomic<int> ran{0};
            auto const counts = [](std::atomic<int>& into) -> task<> {
                ++into;
                co_return;
            };
            auto h = rt.spawn(counts, std::ref(ran));
            for (unsigned spin = 0; spin < i % 64; ++spin) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
            h.cancel();
            h.blocking_wait();
            right = right && ran == (h.cancelled() ? 0 : 1);
        }
        CHECK(right);
    }
}

TEST_CASE("TH-07: the end of a runtime waits for blocking calls, for as long as it is told to, and says for whom") {
    std::atomic<bool> begun{false};
    std::atomic<bool> let_go{false};
    std::atomic<bool> over{false};
    {
        runtime rt(threads(2));
        auto const blocks = [&] {
            begun = true;
            until([&] { return let_go.load(); });
            over = true;
        };
        auto h = rt.spawn(to_thread(blocks), {.name = "slow call"});
        until([&] { return begun.load(); });
        auto const report = rt.shutdown(1ms);
        CHECK_FALSE(report);
        REQUIRE(report.survivors.size() == 1);
        CHECK(report.survivors[0].name == "slow call");
        CHECK_FALSE(over);
        let_go = true;
        CHECK(rt.shutdown(100s));
        CHECK(over);
        CHECK(h.done());
    }
    // The destructor waits without a bound.
    over = false;
    std::thread helper;
    {
        runtime rt(threads(2));
        begun = let_go = false;
        auto const blocks = [&] {
            begun = true;
            until([&] { return let_go.load(); });
            over = true;
        };
        auto h = rt.spawn(to_thread(abandon_on_cancel, blocks));
        until([&] { return begun.load(); });
        helper = std::thread([&] {
            std::this_thread::yield();
            let_go = true;
        });
    }
    CHECK(over);
    helper.join();
}

TEST_CASE("LOOP-16: after fork() the child starts a runtime of its own, beside one that the parent runs") {
#if defined(MAGPIE_TESTS_TSAN)
    MESSAGE("ThreadSanitizer forbids threads in the child of a process that has several");
    return;
#endif
    runtime rt(threads(2));
    CHECK(rt.block_on(after(1us, 1)) == 1);
    until([&] { return rt.tasks().empty(); });
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto const sum = []() -> task<int> {
            auto [a, b] = co_await gather(after(1us, 2), after(2us, 3));
            co_return a + b;
        };
        ::_exit(run(sum(), threads(2)) + run(sum(), simulated()) == 10 ? 0 : 1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(rt.block_on(after(1us, 4)) == 4);  // the parent's goes on
}

}  // namespace
