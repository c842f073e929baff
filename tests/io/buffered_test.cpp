#include <magpie/combinators/timeout.hpp>
#include <magpie/io/buffered.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <io/support/kit.hpp>
#include <io/support/scripted_stream.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

template <class Main>
void simulate(Main main) {
    run(main(), simulated());
}

// ------------------------------------------------------------------------------------------------ reader

TEST_CASE("lines come out one by one, with either end, wherever the parts are cut") {
    for (std::size_t part = 1; part <= 20; ++part) {
        simulate([part]() -> task<> {
            scripted_stream from("one\ntwo\r\n\nfour\r", {part});
            io::buffered_reader reader(from);
            CHECK((co_await reader.read_line()).value() == "one");
            CHECK((co_await reader.read_line()).value() == "two");
            CHECK((co_await reader.read_line()).value() == "");
            CHECK((co_await reader.read_line()).error() == io::errc::end_of_stream);
            CHECK(reader.at_end());
            CHECK(reader.available_text() == "four\r");  // what is left is not lost
        });
    }
}

TEST_CASE("what was received and not asked for is kept for the next call, of whatever kind") {
    simulate([]() -> task<> {
        scripted_stream from("head\n0123456789tail\nrest", {1000});
        io::buffered_reader reader(from);
        CHECK((co_await reader.read_line()).value() == "head");
        CHECK(from.reads() == 1);
        CHECK(text_of((co_await reader.read_exactly(4)).value()) == "0123");
        std::array<std::byte, 3> memory;
        CHECK((co_await reader.read(memory)).value() == 3);
        CHECK(text_of(memory) == "456");
        CHECK(text_of(reader.available()) == "789tail\nrest");
        reader.consume(3);
        CHECK((co_await reader.read_until("l\n")).value() == "tail\n");
        CHECK(from.reads() == 1);
        CHECK((co_await reader.read(memory)).value() == 3);
        CHECK((co_await reader.read(memory)).value() == 1);
        CHECK((co_await reader.read(memory)).value() == 0);
        CHECK((co_await reader.read(std::span<std::byte>())).value() == 0);
    });
}

TEST_CASE("IO-03: a line longer than the capacity is an error, consumes nothing, and the reader goes on") {
    simulate([]() -> task<> {
        scripted_stream from("0123456789\nab\n", {3});
        io::buffered_reader reader(from, 8);
        CHECK((co_await reader.read_line()).error() == io::errc::too_long);
        CHECK(reader.available_text() == "01234567");
        CHECK((co_await reader.fill()).error() == io::errc::too_long);
        CHECK((co_await reader.read_exactly(9)).error() == io::errc::too_long);
        reader.consume(8);
        CHECK((co_await reader.read_line()).value() == "89");
        CHECK((co_await reader.read_line()).value() == "ab");
    });
}

TEST_CASE("records that straddle the end of the memory are moved to its front") {
    simulate([]() -> task<> {
        std::string text;
        for (int i = 0; i < 200; ++i) {
            text += "record" + std::to_string(i) + "\n";
        }
        scripted_stream from(text, {7});
        io::buffered_reader reader(from, 16);
        for (int i = 0; i < 200; ++i) {
            CHECK((co_await reader.read_line()).value() == "record" + std::to_string(i));
        }
    });
}

TEST_CASE("an end or an error in the middle of a record leaves what came") {
    simulate([]() -> task<> {
        scripted_stream from("abc", {2});
        from.fail_at_end(std::errc::connection_reset);
        io::buffered_reader reader(from);
        CHECK((co_await reader.read_exactly(5)).error() == std::errc::connection_reset);
        CHECK(!reader.at_end());
        CHECK(reader.available_text() == "abc");
        CHECK(text_of((co_await reader.read_exactly(3)).value()) == "abc");
        CHECK((co_await reader.read_exactly(0)).value().empty());
    });
}

TEST_CASE("a read that is cancelled consumes nothing") {
    simulate([]() -> task<> {
        scripted_stream from("ab\ncd\n", {1});
        from.be_slow();
        io::buffered_reader reader(from);
        CHECK_THROWS_AS((void)co_await timeout(2500ms, reader.read_line()), timeout_error);
        CHECK(reader.available_text() == "ab");
        CHECK((co_await reader.read_line()).value() == "ab");
        CHECK((co_await reader.read_line()).value() == "cd");
    });
}

TEST_CASE("a large read goes past the reader's memory, in order") {
    simulate([]() -> task<> {
        scripted_stream from("0123456789", {4, 100});
        io::buffered_reader reader(from, 4);
        std::array<std::byte, 10> memory;
        CHECK((co_await reader.fill()).value() == 4);
        CHECK((co_await reader.read(memory)).value() == 4);
        CHECK((co_await reader.read(memory)).value() == 6);
        CHECK(text_of(std::span(memory).first(6)) == "456789");
    });
}

TEST_CASE("a reader is a source itself") {
    simulate([]() -> task<> {
        static_assert(io::byte_source<io::buffered_reader<scripted_stream>>);
        scripted_stream from("0123456789", {3});
        io::buffered_reader reader(from, 4);
        std::array<std::byte, 10> memory;
        CHECK((co_await io::read_exactly(reader, memory)).has_value());
        CHECK(text_of(memory) == "0123456789");
    });
}

// ------------------------------------------------------------------------------------------------ writer

TEST_CASE("small writes are gathered, and go out when they are flushed") {
    simulate([]() -> task<> {
        scripted_stream to("", {1000});
        io::buffered_writer writer(to, 16);
        CHECK((co_await writer.write("abc")).has_value());
        CHECK((co_await writer.write("def")).has_value());
        CHECK(to.writes() == 0);
        CHECK(writer.size() == 6);
        CHECK((co_await writer.flush()).has_value());
        CHECK(to.written() == "abcdef");
        CHECK(to.writes() == 1);
        CHECK(writer.size() == 0);
        CHECK((co_await writer.flush()).has_value());
        CHECK(to.writes() == 1);
    });
}

TEST_CASE("what does not fit goes out in order, in few writes; large parts are not copied piece by piece") {
    simulate([]() -> task<> {
        scripted_stream to("", {1000});
        io::buffered_writer writer(to, 8);
        CHECK((co_await writer.write("12345")).has_value());
        CHECK((co_await writer.write("67890")).has_value());
        CHECK(to.written() == "12345678");
        std::string const much(50, 'm');
        CHECK((co_await writer.write(much)).has_value());
        CHECK(to.writes() <= 3);
        CHECK((co_await writer.flush()).has_value());
        CHECK(to.written() == "1234567890" + much);
    });
}

TEST_CASE("any sequence of writes comes out as it went in") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        simulate([seed]() -> task<> {
            std::minstd_rand random(seed);
            scripted_stream to("", {1, 5, 2, 9, 3});
            io::buffered_writer writer(to, 8);
            std::string expected;
            for (int i = 0; i < 30; ++i) {
                std::string const part(random() % 25, static_cast<char>('a' + i));
                CHECK((co_await writer.write(part)).has_value());
                expected += part;
                if (random() % 4 == 0) {
                    CHECK((co_await writer.flush()).has_value());
                    CHECK(to.written() == expected);
                }
            }
            CHECK((co_await writer.flush()).has_value());
            CHECK(to.written() == expected);
        });
    }
}

TEST_CASE("a write that fails keeps what the stream has not taken, and says how much it took itself") {
    simulate([]() -> task<> {
        scripted_stream to("", {3});
        to.accept_only(4);
        io::buffered_writer writer(to, 8);
        std::size_t done = 99;
        CHECK((co_await writer.write(io::as_bytes("0123456"), done)).has_value());
        CHECK(done == 7);
        CHECK((co_await writer.write(io::as_bytes("789"), done)).error() == std::errc::broken_pipe);
        CHECK(done == 1);  // it fitted
        CHECK(to.written() == "0123");
        CHECK(writer.size() == 4);
        to.accept_only(100);
        CHECK((co_await writer.write("89")).has_value());
        CHECK((co_await writer.flush()).has_value());
        CHECK(to.written() == "0123456789");
    });
}

TEST_CASE("a flush that is cancelled goes on where it was") {
    simulate([]() -> task<> {
        scripted_stream to("", {2});
        to.be_slow();
        io::buffered_writer writer(to, 16);
        CHECK((co_await writer.write("0123456789")).has_value());
        CHECK_THROWS_AS((void)co_await timeout(2500ms, writer.flush()), timeout_error);
        CHECK(to.written() == "0123");
        CHECK((co_await writer.flush()).has_value());
        CHECK(to.written() == "0123456789");
    });
}

TEST_CASE("reader and writer over a real connection") {
    run_on_each_backend(2, []() -> task<> {
        auto pair = co_await connect_pair();
        auto const serve = [&]() -> task<> {
            io::buffered_reader reader(pair.server);
            io::buffered_writer writer(pair.server);
            while (auto const line = co_await reader.read_line()) {
                std::string const reply = "you said " + std::string(*line) + "\n";
                CHECK((co_await writer.write(reply)).has_value());
                CHECK((co_await writer.flush()).has_value());
            }
        };
        auto server = spawn(serve());
        io::buffered_reader reader(pair.client);
        for (int i = 0; i < 200; ++i) {
            std::string const said = std::to_string(i);
            CHECK((co_await io::write_all(pair.client, said + "\n")).has_value());
            CHECK((co_await reader.read_line()).value() == "you said " + said);
        }
        pair.client.close();
        co_await std::move(server);
    });
}

}  // namespace
