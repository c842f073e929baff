#include <magpie/combinators/shield.hpp>
#include <magpie/io/detail/op_base.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <errno.h>
#include <sys/socket.h>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<std::string> read_text(io::fd const& from) {
    std::array<std::byte, 64> memory;
    auto const count = (co_await read_some(from, memory)).value();
    co_return std::string(text_of(std::span(memory).first(count)));
}

TEST_CASE("CAN-24: a pending read is cancelled promptly, the kernel lets go, and the next read gets what comes") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        auto reader = spawn(read_text(ends.read));
        co_await let_others_run();
        CHECK(!reader.done());
        CHECK(reader.cancel());
        CHECK_THROWS_AS(co_await std::move(reader), child_cancelled);
        CHECK(detail::current_driver().in_flight() == 0);
        put(ends.write, "for the next one");
        CHECK(co_await read_text(ends.read) == "for the next one");
    });
}

TEST_CASE("D9: what was there before the request is delivered, and the request stays pending") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        std::string got;
        bool went_on = false;
        auto const body = [&]() -> task<> {
            got = co_await read_text(ends.read);
            co_await this_task::yield();
            went_on = true;
        };
        auto reader = spawn(body());
        co_await let_others_run();
        put(ends.write, "not to be lost");
        // Hands the completion in; the reader is queued, and has not run.
        detail::current_driver().poll();
        CHECK(reader.cancel());
        CHECK_THROWS_AS(co_await std::move(reader), child_cancelled);
        CHECK(got == "not to be lost");
        CHECK(!went_on);
    });
}

TEST_CASE("a task with a pending request does not begin an operation") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "untouched");
        auto const body = [&]() -> task<> {
            this_task::cancel();
            (void)co_await read_text(ends.read);
        };
        auto reader = spawn(body());
        CHECK_THROWS_AS(co_await std::move(reader), child_cancelled);
        CHECK(co_await read_text(ends.read) == "untouched");
    });
}

TEST_CASE("several requests for one operation end it once") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        auto reader = spawn(read_text(ends.read));
        co_await let_others_run();
        for (int i = 0; i < 5; ++i) {
            CHECK(reader.cancel());
        }
        CHECK_THROWS_AS(co_await std::move(reader), child_cancelled);
        CHECK(detail::current_driver().in_flight() == 0);
    });
}

TEST_CASE("a shielded operation is not cancelled") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        std::string got;
        auto const body = [&]() -> task<> { got = co_await shielded(read_text(ends.read)); };
        auto reader = spawn(body());
        co_await let_others_run();
        CHECK(reader.cancel());
        co_await let_others_run();
        CHECK(!reader.done());
        put(ends.write, "late");
        co_await std::move(reader);  // nothing suspends after the shield: the request finds no place to be delivered
        CHECK(got == "late");
    });
}

TEST_CASE("an operation that began on one worker may be cancelled from another, and from outside") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const ends = make_pipe();
        for (int i = 0; i < 50; ++i) {
            auto reader = rt.spawn(read_text(ends.read));
            if (i % 2 == 0) {
                std::this_thread::yield();
            }
            reader.cancel();
            reader.blocking_wait();
            CHECK(reader.cancelled());
        }
        put(ends.write, "whole");
        CHECK(rt.block_on(read_text(ends.read)) == "whole");
    });
}

TEST_CASE("people are told what a task waits for") {
    on_each_backend(1, [](config const& c) {
        runtime rt(c);
        auto const ends = make_pipe();
        auto reader = rt.spawn(read_text(ends.read));
        std::string awaits;
        until([&] {
            auto const all = rt.tasks();
            awaits = all.empty() ? "" : all.front().awaits;
            return !awaits.empty();
        });
        CHECK(awaits == "io read on descriptor " + std::to_string(ends.read.get()));
        reader.cancel();
        reader.blocking_wait();
    });
}

TEST_CASE("people may ask what a task waits for while its loop tries again") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto pair = rt.block_on(connect_pair());
        unsigned const count = rounds(2000);
        auto const reads = [&]() -> task<std::size_t> {
            std::size_t got = 0;
            while (got < count) {
                got += (co_await pair.server.read()).value().size();
            }
            co_return got;
        };
        auto reader = rt.spawn(reads());
        while (!reader.done()) {
            (void)!::send(pair.client.descriptor(), "x", 1, MSG_DONTWAIT);
            (void)rt.tasks();
        }
        CHECK(reader.result().value() >= count);
    });
}

// ------------------------------------------------------------------------------------------------ storm

// Bytes go through a pipe while its readers are cancelled at random from other workers: each byte comes out once.
struct storm {
    explicit storm(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            pipes.push_back(make_pipe());
        }
        received.resize(count);
    }
    std::vector<pipe_ends> pipes;
    std::vector<std::vector<unsigned char>> received;
    std::atomic<int> cancelled{0};
};

task<> receive_one(storm& all, std::size_t which) {
    std::byte byte{};
    auto const count = co_await read_some(all.pipes[which].read, std::span(&byte, 1));
    if (count && *count == 1) {
        all.received[which].push_back(static_cast<unsigned char>(byte));
    }
}

task<> exercise(storm& all, std::size_t which, unsigned rounds, unsigned seed) {
    std::minstd_rand random(seed);
    unsigned sent = 0;
    for (unsigned i = 0; i < rounds; ++i) {
        auto reader = spawn(receive_one(all, which));
        for (auto turns = random() % 3; turns > 0; --turns) {
            co_await this_task::yield();
        }
        if (random() % 2 == 0) {
            auto const byte = static_cast<char>(sent++);
            put(all.pipes[which].write, {&byte, 1});
        }
        reader.cancel();
        try {
            co_await std::move(reader);
        } catch (child_cancelled const&) {
            all.cancelled.fetch_add(1);
        }
    }
    all.pipes[which].write = io::fd();
    std::size_t before = 0;
    do {
        before = all.received[which].size();
        co_await receive_one(all, which);
    } while (all.received[which].size() != before);
    CHECK(all.received[which].size() == sent);
}

TEST_CASE("CAN-25, IO-02: cancelling from every side loses no byte and delivers none twice") {
    on_each_backend(4, [](config const& c) {
        constexpr std::size_t pipes = 8;
        storm all(pipes);
        runtime rt(c);
        std::vector<join_handle<void>> running;
        for (std::size_t i = 0; i < pipes; ++i) {
            running.push_back(rt.spawn(exercise(all, i, rounds(1000), static_cast<unsigned>(i + 1))));
        }
        for (auto& each : running) {
            each.blocking_wait();
            each.result().value();
        }
        for (auto const& bytes : all.received) {
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                REQUIRE(bytes[i] == static_cast<unsigned char>(i));
            }
        }
        CHECK(all.cancelled.load() > 0);
    });
}

// A nop that the kernel ends with the result it is told: Linux 6.10.
class told_nop final : public detail::op_awaiter<io::as_count> {
public:
    explicit told_nop(int result) : op_awaiter(asked(result), io::as_count()) {}
    void tell(int result) { request() = asked(result); }

private:
    static io::request asked(int result) {
        constexpr std::uint32_t inject_result = 1;
        return {.length = static_cast<std::uint32_t>(result), .flags = inject_result};
    }
};

task<io::result<std::size_t>> await_it(told_nop& op) {
    co_return co_await op;
}

TEST_CASE("an interruption that nobody asked for is none: the operation is started again, and can be cancelled" *
          doctest::skip(!io_uring_is_allowed())) {
    auto const main = []() -> task<> {
        told_nop first(5);
        auto const known = co_await await_it(first);
        if (!known) {
            MESSAGE("this kernel does not know IORING_NOP_INJECT_RESULT");
            co_return;
        }
        REQUIRE(*known == 5);
        told_nop op(-EINTR);
        auto waits = spawn(await_it(op));
        co_await let_others_run();
        detail::current_driver().poll();
        co_await let_others_run();
        CHECK(!waits.done());
        op.tell(7);
        CHECK((co_await std::move(waits)).value() == 7);

        told_nop again(-EINTR);
        auto cancelled = spawn(await_it(again));
        co_await let_others_run();
        CHECK(cancelled.cancel());
        CHECK_THROWS_AS((void)co_await std::move(cancelled), child_cancelled);
        CHECK(detail::current_driver().in_flight() == 0);
    };
    run(main(), with_backend(io_backend::io_uring));
}

TEST_CASE("an operation that is interrupted again and again says so in the end" *
          doctest::skip(!io_uring_is_allowed())) {
    auto const main = []() -> task<> {
        told_nop first(5);
        if (!co_await await_it(first)) {
            MESSAGE("this kernel does not know IORING_NOP_INJECT_RESULT");
            co_return;
        }
        auto const completions = detail::current_driver().completions();
        told_nop op(-EINTR);
        CHECK((co_await await_it(op)).error() == std::errc::interrupted);
        CHECK(detail::current_driver().completions() == completions + 1 + detail::op_base::most_interruptions);
    };
    run(main(), with_backend(io_backend::io_uring));
}

}  // namespace
