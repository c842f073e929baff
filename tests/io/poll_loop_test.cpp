#include <magpie/io/loop/poll_loop.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

config poll_only(unsigned workers = 1) {
    return with_backend(io_backend::poll, workers);
}

TEST_CASE("an operation that is ready does not suspend its task") {
    auto const main = []() -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "xx");
        bool other_ran = false;
        auto const other = [&]() -> task<> {
            other_ran = true;
            co_return;
        };
        auto waiting = spawn(other());
        std::byte byte{};
        CHECK((co_await read_some(ends.read, std::span(&byte, 1))).value() == 1);
        CHECK(!other_ran);
        co_await std::move(waiting);
    };
    run(main(), poll_only());
}

TEST_CASE("but a socket that is always ready does not keep the worker to itself") {
    auto const main = []() -> task<> {
        auto const ends = make_pipe();
        bool stop = false;
        auto const other = [&]() -> task<> {
            stop = true;
            co_return;
        };
        auto waiting = spawn(other());
        std::byte byte{};
        int before_the_other = 0;
        while (!stop) {  // for ever, if the budget were not charged
            put(ends.write, "x");
            (void)co_await read_some(ends.read, std::span(&byte, 1));
            ++before_the_other;
        }
        CHECK(before_the_other <= 200);  // a few times config.event_interval
        co_await std::move(waiting);
    };
    run(main(), poll_only());
}

TEST_CASE("nor from the operations of other tasks, which only epoll can tell about") {
    auto const main = []() -> task<> {
        auto const busy = make_pipe();
        auto const quiet = make_pipe();
        std::byte got{};
        auto reader = spawn(read_some(quiet.read, std::span(&got, 1)));
        co_await let_others_run();
        put(quiet.write, "q");
        std::byte byte{};
        while (!reader.done()) {
            put(busy.write, "x");
            (void)co_await read_some(busy.read, std::span(&byte, 1));
        }
        CHECK(got == std::byte{'q'});
    };
    run(main(), poll_only());
}

TEST_CASE("a descriptor's number may be given out anew between two waits") {
    auto const main = []() -> task<> {
        int number = -1;
        for (int i = 0; i < 20; ++i) {
            auto ends = make_pipe();
            if (number >= 0) {
                CHECK(ends.read.get() == number);
            }
            number = ends.read.get();
            std::byte byte{};
            auto reader = spawn(read_some(ends.read, std::span(&byte, 1)));
            co_await let_others_run();
            if (i % 3 == 0) {
                reader.cancel();
                CHECK_THROWS_AS((void)co_await std::move(reader), child_cancelled);
            } else {
                put(ends.write, "x");
                CHECK((co_await std::move(reader)).value() == 1);
            }
        }
    };
    run(main(), poll_only());
}

TEST_CASE("several may wait at one descriptor, for the same side: first come, first served") {
    auto const main = []() -> task<> {
        auto const ends = make_pipe();
        std::vector<std::byte> bytes(5);
        std::vector<join_handle<io::result<std::size_t>>> readers;
        for (auto& each : bytes) {
            readers.push_back(spawn(read_some(ends.read, std::span(&each, 1))));
        }
        co_await let_others_run();
        readers[1].cancel();
        CHECK_THROWS_AS((void)co_await std::move(readers[1]), child_cancelled);
        put(ends.write, "abcd");
        for (std::size_t const i : {0U, 2U, 3U, 4U}) {
            CHECK((co_await std::move(readers[i])).value() == 1);
        }
        CHECK(text_of(bytes) == std::string("a\0bcd", 5));
    };
    run(main(), poll_only());
}

TEST_CASE("both sides of one socket may be waited for at the same time") {
    auto const main = []() -> task<> {
        auto pair = co_await connect_pair();
        std::vector<std::byte> memory(1 << 20);
        // Fills both sockets until a writer waits.
        auto const fill = [&]() -> task<std::size_t> {
            std::size_t sent = 0;
            while (sent < (std::size_t{8} << 20)) {
                sent += (co_await pair.client.write(io::const_buffer(memory))).value();
            }
            co_return sent;
        };
        std::byte byte{};
        auto writer = spawn(fill());
        auto reader = spawn(pair.client.read(std::span(&byte, 1)));
        co_await let_others_run();
        CHECK(!writer.done());
        CHECK(!reader.done());
        (void)co_await pair.server.write("r");
        CHECK((co_await std::move(reader)).value() == 1);
        std::size_t received = 0;
        while (!writer.done()) {
            auto const part = co_await pair.server.read();
            received += part.value().size();
        }
        CHECK(co_await std::move(writer) >= received);
    };
    run(main(), poll_only());
}

TEST_CASE("nothing can be reaped for a poll loop, and nothing is ever in the kernel's hands") {
    detail::poll_loop loop(io_config{});
    CHECK(loop.reap() == 0);
    CHECK(loop.in_flight() == 0);
    CHECK(loop.completions() == 0);
    CHECK(!loop.has_work());
    loop.poll();
    loop.unpark();
    loop.park(time_point::max());
}

TEST_CASE("completions are counted, those that were there at once included") {
    auto const main = []() -> task<std::uint64_t> {
        auto const before = detail::current_driver().completions();
        auto const ends = make_pipe();
        std::byte byte{};
        put(ends.write, "x");
        (void)co_await read_some(ends.read, std::span(&byte, 1));
        auto reader = spawn(read_some(ends.read, std::span(&byte, 1)));
        co_await let_others_run();
        put(ends.write, "x");
        (void)co_await std::move(reader);
        co_return detail::current_driver().completions() - before;
    };
    CHECK(run(main(), poll_only()) == 2);
}

}  // namespace
