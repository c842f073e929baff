#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <poll.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

detail::event_loop& current() {
    return *detail::current_event_loop();
}

bool readable(int fd) {
    pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
}

TEST_CASE("a worker knows its own loop; under the simulated clock there is none") {
    run_on_each_backend(1, []() -> task<> {
        CHECK(static_cast<driver*>(&current()) == &detail::current_driver());
        co_return;
    });
    auto const simulated_main = []() -> task<> {
        CHECK(detail::current_event_loop() == nullptr);
        co_return;
    };
    run(simulated_main(), simulated());
}

TEST_CASE("a loop without anything to do says so, and polling it is harmless") {
    run_on_each_backend(1, []() -> task<> {
        current().poll();
        CHECK(!current().has_work());
        CHECK(current().reap() == 0);
        CHECK(current().in_flight() == 0);
        co_return;
    });
}

TEST_CASE("it has no buffers until somebody borrows one") {
    run_on_each_backend(1, []() -> task<> {
        CHECK(current().buffers() == nullptr);
        auto pair = co_await connect_pair();
        (void)co_await pair.client.write("x");
        (void)co_await pair.server.read();
        REQUIRE(current().buffers() != nullptr);
        std::size_t const available = current().buffers()->available();
        {
            (void)co_await pair.client.write("x");
            auto const held = co_await pair.server.read();
            CHECK(current().buffers()->available() == available - 1);
        }
        CHECK(current().buffers()->available() == available);
    });
}

TEST_CASE("park() returns when it is unparked, before or while it sleeps, and at its deadline") {
    run_on_each_backend(1, []() -> task<> {
        detail::event_loop& loop = current();
        loop.unpark();
        loop.park(time_point::max());  // returns at once, or the test never ends
        for (unsigned i = 0; i < rounds(200); ++i) {
            std::thread other([&] { loop.unpark(); });
            loop.park(time_point::max());
            other.join();
        }
        loop.park(std::chrono::steady_clock::now() - std::chrono::hours{1});
        auto const deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{2};
        while (std::chrono::steady_clock::now() < deadline) {
            loop.park(deadline);
        }
        co_return;
    });
}

TEST_CASE("tasks are woken from foreign threads, whatever the worker is doing") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        std::atomic<unsigned> done{0};
        unsigned const each = rounds(2000);
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                for (unsigned n = 0; n < each; ++n) {
                    auto const step = [&]() -> task<> {
                        (void)co_await io::op({.code = io::opcode::nop});
                        done.fetch_add(1);
                    };
                    rt.spawn(step()).blocking_wait();
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        CHECK(done.load() == 3 * each);
    });
}

TEST_CASE("driven from outside: the descriptor becomes readable for completions and for messages") {
    run_on_each_backend(1, []() -> task<> {
        detail::event_loop& loop = current();
        int const fd = loop.wait_fd();
        REQUIRE(fd >= 0);
        auto const ends = make_pipe();
        std::byte byte{};
        auto reader = spawn(read_some(ends.read, std::span(&byte, 1)));
        co_await let_others_run();
        loop.poll();
        CHECK(!readable(fd));
        loop.unpark();
        until([&] { return readable(fd); });
        loop.poll();
        loop.poll();
        CHECK(!readable(fd));
        put(ends.write, "x");
        until([&] { return readable(fd); });
        CHECK((co_await std::move(reader)).value() == 1);

        auto cancelled = spawn(read_some(ends.read, std::span(&byte, 1)));
        co_await let_others_run();
        loop.poll();
        CHECK(!readable(fd));
        std::thread([&] { cancelled.cancel(); }).join();
        until([&] { return readable(fd); });
        CHECK_THROWS_AS((void)co_await std::move(cancelled), child_cancelled);
    });
}

TEST_CASE("a runtime without threads, driven by its descriptor alone") {
    on_each_backend(1, [](config c) {
        c.drive = external;
        runtime rt(c);
        auto const main = []() -> task<std::string> {
            auto pair = co_await connect_pair();
            std::string got;
            for (int i = 0; i < 20; ++i) {
                (void)co_await pair.client.write("tick ");
                got += (co_await pair.server.read()).value().text();
                co_await sleep(std::chrono::microseconds{200});
            }
            co_return got;
        };
        auto h = rt.spawn(main());
        while (!h.done()) {
            pollfd look{.fd = rt.driver_fd(), .events = POLLIN, .revents = 0};
            REQUIRE(::poll(&look, 1, -1) == 1);
            (void)rt.run_ready(100);
        }
        CHECK(h.result().value().size() == 100);
    });
}

}  // namespace
