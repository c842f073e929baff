#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <sys/ioctl.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

io::timed_op<> read_within(duration limit, io::fd const& from, std::byte& byte) {
    return io::timed_op({.code = io::opcode::read,
                         .fd = from.get(),
                         .offset = ~std::uint64_t{0},
                         .address = reinterpret_cast<std::uintptr_t>(&byte),
                         .length = 1},
                        limit);
}

TEST_CASE("a deadline that is not set costs nothing and never ends an operation") {
    detail::op_deadline none(0s);
    CHECK(!none.is_set());
    CHECK(!none.stop());
    CHECK(!detail::op_deadline(-1s).is_set());
    CHECK(detail::op_deadline(1ns).is_set());
}

TEST_CASE("an operation that waits too long times out, and the kernel lets go of it") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        std::byte byte{};
        for (int i = 0; i < 5; ++i) {
            CHECK((co_await read_within(1ms, ends.read, byte)).error() == std::errc::timed_out);
        }
        CHECK(detail::current_driver().in_flight() == 0);
        CHECK(this_task::cancelling() == 0);  // nobody asked the task to stop
        put(ends.write, "x");
        CHECK((co_await read_within(1h, ends.read, byte)).value() == 1);
    });
}

TEST_CASE("what comes in time is delivered, and leaves no timer behind") {
    on_each_backend(1, [](config const& c) {
        runtime rt(c);
        auto const main = []() -> task<> {
            auto const ends = make_pipe();
            std::byte byte{};
            auto reader = spawn(
                [](io::fd const& from, std::byte& to) -> task<std::size_t> {
                    co_return (co_await read_within(1h, from, to)).value();
                },
                std::cref(ends.read), std::ref(byte));
            co_await let_others_run();
            put(ends.write, "x");
            CHECK(co_await std::move(reader) == 1);
        };
        rt.block_on(main());
        CHECK(rt.snapshot().totals().timers == 0);
    });
}

TEST_CASE("a request to cancel is a cancellation, not a timeout") {
    on_each_backend(1, [](config const& c) {
        runtime rt(c);
        auto const main = []() -> task<> {
            auto const ends = make_pipe();
            std::byte byte{};
            auto reader =
                spawn([](io::fd const& from, std::byte& to) -> task<> { (void)co_await read_within(1h, from, to); },
                      std::cref(ends.read), std::ref(byte));
            co_await let_others_run();
            reader.cancel();
            CHECK_THROWS_AS(co_await std::move(reader), child_cancelled);
        };
        rt.block_on(main());
        CHECK(rt.snapshot().totals().timers == 0);
    });
}

TEST_CASE("deadline, data and cancellation race: each operation ends exactly once, and no byte is lost") {
    on_each_backend(3, [](config const& c) {
        runtime rt(c);
        std::atomic<int> received{0};
        std::atomic<int> sent{0};
        auto const one = [&](unsigned index) -> task<> {
            auto const ends = make_pipe();
            for (unsigned i = 0; i < rounds(200); ++i) {
                auto const reading = [&]() -> task<> {
                    std::byte byte{};
                    auto const got =
                        co_await read_within(std::chrono::microseconds{(i * 7 + index) % 60 + 1}, ends.read, byte);
                    if (got) {
                        received.fetch_add(static_cast<int>(*got));
                    } else {
                        CHECK(got.error() == std::errc::timed_out);
                    }
                };
                auto reader = spawn(reading());
                for (unsigned turn = 0; turn < i % 4; ++turn) {
                    co_await this_task::yield();
                }
                if (i % 3 == 0) {
                    put(ends.write, "x");
                    sent.fetch_add(1);
                } else if (i % 3 == 1) {
                    reader.cancel();
                }
                try {
                    co_await std::move(reader);
                } catch (child_cancelled const&) {}
            }
            int left = 0;
            REQUIRE(::ioctl(ends.read.get(), FIONREAD, &left) == 0);
            received.fetch_add(left);
        };
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < 6; ++i) {
            all.push_back(rt.spawn(one(i)));
        }
        for (auto& each : all) {
            each.blocking_wait();
            each.result().value();
        }
        CHECK(received.load() == sent.load());
    });
}

}  // namespace
