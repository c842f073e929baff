#include <magpie/io/detail/serve_core.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> hold(io::tcp_stream stream, std::atomic<int>& alive) {
    alive.fetch_add(1);
    try {
        std::byte byte{};
        (void)co_await stream.read(std::span(&byte, 1));
    } catch (task_cancelled const&) {}
    alive.fetch_sub(1);
}

task<> sleeps_until_cancelled(std::atomic<bool>& cancelled) {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        cancelled = true;
        throw;
    }
}

TEST_CASE("a connection has the wait limit that was asked for") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        detail::serve_core core(listener, {.limit = 5, .idle_timeout = 7s, .drain = 1h});
        auto const client = co_await io::tcp_stream::connect(listener.local_endpoint().value());
        auto const stream = co_await core.next();
        REQUIRE(stream.has_value());
        CHECK(stream->wait_limit() == 7s);
        core.begin([]() -> task<> { co_return; }());
        co_await core.drain();
    });
}

TEST_CASE("drain() returns only when everything has ended, also when it had to cancel") {
    run_on_each_backend(2, []() -> task<> {
        auto const listener = listen_on_loopback();
        std::atomic<int> alive{0};
        std::vector<io::tcp_stream> clients;
        detail::serve_core core(listener, {.limit = 5, .drain = 1ms});
        for (int i = 0; i < 5; ++i) {
            clients.push_back((co_await io::tcp_stream::connect(listener.local_endpoint().value())).value());
            auto stream = co_await core.next();
            core.begin(hold(std::move(*stream), alive));
        }
        co_await core.drain();
        CHECK(alive.load() == 0);
    });
}

TEST_CASE("next() waits for a place") {
    run_on_each_backend(1, []() -> task<> {
        auto const listener = listen_on_loopback();
        std::atomic<int> alive{0};
        detail::serve_core core(listener, {.limit = 1, .drain = 1h});
        auto const where = listener.local_endpoint().value();
        auto first = (co_await io::tcp_stream::connect(where)).value();
        auto const second = (co_await io::tcp_stream::connect(where)).value();
        auto stream = co_await core.next();
        core.begin(hold(std::move(*stream), alive));
        auto waiting = spawn(core.next());
        co_await let_others_run();
        CHECK(!waiting.done());
        first.close();
        auto other = co_await std::move(waiting);
        CHECK(other.has_value());
        core.begin([]() -> task<> { co_return; }());
        co_await core.drain();
    });
}

// Its poll can only be ended by the loop that began it, and nobody takes that one over.
TEST_CASE("a watch on a worker that is stuck, without rescue, keeps no connection beyond the drain") {
    on_each_backend(2, [](config c) {
        c.rescue = false;
        runtime rt(c);
        auto const main = [&]() -> task<> {
            auto const listener = listen_on_loopback();
            detail::serve_core core(listener, {.limit = 1, .drain = 1ms});
            auto const client = (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
            (void)co_await core.next();
            std::atomic<bool> cancelled{false};
            core.begin(sleeps_until_cancelled(cancelled));
            auto const operations = [&] { return rt.snapshot().totals().operations; };
            CHECK(operations() == 0);
            // This worker does nothing else from here on, so that the other one begins the watch, and is stuck then.
            auto waiting = spawn(core.next());
            until([&] { return operations() == 1; });
            std::atomic<bool> entered{false};
            auto const computes = [&]() -> task<> {
                entered = true;
                until([&] { return cancelled.load(); });
                co_return;
            };
            auto hog = spawn(computes());
            until([&] { return entered.load(); });
            waiting.cancel();
            CHECK_THROWS_AS((void)co_await std::move(waiting), child_cancelled);
            co_await core.drain();
            CHECK(cancelled.load());
            CHECK(operations() == 0);
            co_await std::move(hog);
        };
        rt.block_on(main());
    });
}

TEST_CASE("a limit of nothing is refused") {
    run_on_each_backend(1, []() -> task<> {
        io::tcp_listener const none;
        CHECK_THROWS_AS(detail::serve_core(none, {.limit = 0}), std::invalid_argument);
        co_return;
    });
}

}  // namespace
