// Receives that wait for a buffer of a loop whose owner is stuck in a task: another thread takes them over.

#include <magpie/io/loop/event_loop.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> borrows_one(io::tcp_stream const& from, std::atomic<unsigned>& ended) {
    try {
        auto const got = co_await from.read();
        ended.fetch_add(got && got->size() == 1 ? 1 : 1000);
    } catch (task_cancelled const&) {
        ended.fetch_add(1);
        throw;
    }
}

// All buffers of this worker's loop, by a task that is pinned to it.
task<std::vector<io::buffer>> all_buffers(connected& pair) {
    std::vector<io::buffer> held;
    do {
        (void)co_await pair.client.write("x");
        auto got = co_await pair.server.read();
        held.push_back(std::move(got).value());
    } while (detail::current_event_loop()->buffers()->available() != 0);
    co_return held;
}

// Begun, and found without a buffer, if `looked`; else that is left to the others.
void submit(bool looked) {
    while (looked && detail::current_driver().has_work()) {
        detail::current_driver().poll();
    }
}

template <class Body>
void while_all_buffers_are_lent(config c, Body body) {
    c.io.buffer_ring.count = 8;
    runtime rt(c);
    for (unsigned r = 0; r < rounds(20); ++r) {
        auto const computes = [&]() -> task<> {
            auto pair = co_await connect_pair();
            auto held = co_await all_buffers(pair);
            co_await body(pair, held, r % 2 == 0);
        };
        rt.block_on(computes(), {.pinned = true});
    }
}

TEST_CASE("a receive that waits for a buffer of a stuck worker's loop gets one of another's" *
          doctest::skip(!io_uring_is_allowed())) {
    while_all_buffers_are_lent(with_backend(io_backend::io_uring, 2),
                               [](connected& pair, std::vector<io::buffer>& held, bool looked) -> task<> {
                                   std::atomic<unsigned> ended{0};
                                   auto one = spawn(borrows_one(pair.server, ended), {.eager = true});
                                   REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
                                   submit(looked);
                                   until([&] { return ended == 1; });  // and this task keeps all of this loop's
                                   co_await std::move(one);
                                   CHECK(held.size() == 8);
                               });
}

TEST_CASE("a rescuer whose own buffers are all lent takes receives over, as long as it can have more" *
          doctest::skip(!io_uring_is_allowed())) {
    config c = with_backend(io_backend::io_uring, 2);
    c.io.buffer_ring = {.size = 256, .count = 256};  // more than a loop offers the kernel at first
    c.steal = false;                                 // a task stays where it was moved to
    runtime rt(c);
    std::atomic<bool> all_lent{false};
    std::atomic<bool> over{false};
    auto const lends_all = [&](unsigned where) -> task<> {
        auto pair = co_await connect_pair();
        co_await detail::move_to_worker(where);
        auto const held = co_await all_buffers(pair);
        all_lent = true;
        while (!over) {
            co_await sleep(1ms);
        }
    };
    auto const computes = [&]() -> task<> {
        auto pair = co_await connect_pair();
        auto const held = co_await all_buffers(pair);
        auto other = spawn(lends_all(1 - this_task::worker()));
        while (!all_lent) {
            co_await sleep(1ms);
        }
        std::atomic<unsigned> ended{0};
        auto one = spawn(borrows_one(pair.server, ended), {.eager = true});
        REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
        // Not looked at here: this loop would offer itself more.
        until([&] { return ended == 1; });
        over = true;
        co_await std::move(one);
        co_await std::move(other);
    };
    rt.block_on(computes(), {.pinned = true});
}

TEST_CASE("receives that wait for a buffer of a stuck worker's loop go on when one comes back") {
    on_each_backend(2, [](config const& c) {
        while_all_buffers_are_lent(c, [](connected& pair, std::vector<io::buffer>& held, bool looked) -> task<> {
            std::atomic<unsigned> ended{0};
            auto one = spawn(borrows_one(pair.server, ended), {.eager = true});
            REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
            submit(looked);
            held.clear();
            until([&] { return ended == 1; });
            co_await std::move(one);
        });
    });
}

TEST_CASE("receives that wait for a buffer of a stuck worker's loop can be cancelled, while others take them over") {
    on_each_backend(2, [](config const& c) {
        while_all_buffers_are_lent(c, [](connected& pair, std::vector<io::buffer>&, bool looked) -> task<> {
            constexpr unsigned n = 20;
            std::atomic<unsigned> ended{0};
            std::vector<join_handle<>> all;
            for (unsigned i = 0; i < n; ++i) {
                all.push_back(spawn(borrows_one(pair.server, ended), {.eager = true}));
            }
            REQUIRE(::write(pair.client.descriptor(), "x", 1) == 1);
            submit(looked);
            for (auto& each : all) {
                each.cancel();
            }
            until([&] { return ended == n; });
            unsigned received = 0;
            for (auto& each : all) {
                try {
                    co_await std::move(each);
                    ++received;
                } catch (child_cancelled const&) {}
            }
            CHECK(received <= 1);  // what was cancelled has received nothing
        });
    });
}

}  // namespace
