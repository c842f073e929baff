#include <magpie/combinators/timeout.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

std::vector<io::const_buffer> parts_of(std::vector<std::string> const& texts) {
    std::vector<io::const_buffer> parts;
    for (auto const& text : texts) {
        parts.push_back(io::as_bytes(text));
    }
    return parts;
}

TEST_CASE("the concepts tell sources, sinks and those that gather") {
    static_assert(io::byte_source<io::tcp_stream> && io::byte_sink<io::tcp_stream>);
    static_assert(io::gathering_sink<io::tcp_stream>);
    static_assert(io::byte_source<scripted_stream> && io::byte_sink<scripted_stream>);
    static_assert(!io::gathering_sink<scripted_stream>);
    static_assert(io::gathering_sink<scripted_gathering_stream>);
    static_assert(!io::byte_source<int> && !io::byte_sink<std::string>);
}

TEST_CASE("read_exactly fills the buffer, however small the parts, and takes no more") {
    simulate([]() -> task<> {
        scripted_stream from("0123456789rest", {3, 1, 1, 100});
        std::array<std::byte, 10> memory;
        std::size_t done = 99;
        CHECK((co_await io::read_exactly(from, memory, done)).has_value());
        CHECK(done == 10);
        CHECK(text_of(memory) == "0123456789");
        CHECK((co_await io::read_exactly(from, std::span(memory).first(4))).has_value());
        CHECK(text_of(std::span(memory).first(4)) == "rest");
        CHECK((co_await io::read_exactly(from, std::span(memory).first(0), done)).has_value());
        CHECK(done == 0);
    });
}

TEST_CASE("IO-03: an end that comes too early is an error, and done says what came") {
    simulate([]() -> task<> {
        scripted_stream from("abc", {2});
        std::array<std::byte, 10> memory;
        std::size_t done = 99;
        CHECK((co_await io::read_exactly(from, memory, done)).error() == io::errc::end_of_stream);
        CHECK(done == 3);
        CHECK(text_of(std::span(memory).first(3)) == "abc");
        CHECK((co_await io::read_exactly(from, memory)).error() == io::errc::end_of_stream);
    });
}

TEST_CASE("an error on the way is passed on, and done says what came before") {
    simulate([]() -> task<> {
        scripted_stream from("abcd", {2});
        from.fail_at_end(std::errc::connection_reset);
        std::array<std::byte, 10> memory;
        std::size_t done = 0;
        CHECK((co_await io::read_exactly(from, memory, done)).error() == std::errc::connection_reset);
        CHECK(done == 4);
        CHECK((co_await io::read_until(from, memory, "x", done)).error() == std::errc::connection_reset);
        CHECK(done == 0);
    });
}

TEST_CASE("done is right also when the task is cancelled in the middle") {
    simulate([]() -> task<> {
        scripted_stream from("0123456789", {2});
        from.be_slow();
        std::array<std::byte, 10> memory;
        std::size_t done = 99;
        CHECK_THROWS_AS((void)co_await timeout(3500ms, io::read_exactly(from, memory, done)), timeout_error);
        CHECK(done == 6);
        scripted_stream to("", {4});
        to.be_slow();
        CHECK_THROWS_AS((void)co_await timeout(2500ms, io::write_all(to, "0123456789", done)), timeout_error);
        CHECK(done == 8);
        CHECK(to.written() == "01234567");
        scripted_stream lines("ab\ncd", {1});
        lines.be_slow();
        CHECK_THROWS_AS((void)co_await timeout(2500ms, io::read_until(lines, memory, "\n", done)), timeout_error);
        CHECK(done == 2);
    });
}

TEST_CASE("read_until finds the delimiter wherever the parts are cut") {
    for (std::size_t part = 1; part <= 12; ++part) {
        simulate([part]() -> task<> {
            scripted_stream from("ab\r\n\r\ncdef", {part});
            std::array<std::byte, 32> memory;
            std::size_t done = 0;
            auto const length = co_await io::read_until(from, memory, "\r\n\r\n", done);
            CHECK(length.value() == 6);
            CHECK(done >= 6);
            CHECK(text_of(std::span(memory).first(done)) == std::string("ab\r\n\r\ncdef").substr(0, done));
        });
    }
}

TEST_CASE("IO-03: read_until gives up when the buffer is full, or the stream ends") {
    simulate([]() -> task<> {
        scripted_stream long_line("0123456789\n", {3});
        std::array<std::byte, 8> memory;
        std::size_t done = 0;
        CHECK((co_await io::read_until(long_line, memory, "\n", done)).error() == io::errc::too_long);
        CHECK(done == 8);
        scripted_stream cut("0123", {3});
        CHECK((co_await io::read_until(cut, memory, "\n", done)).error() == io::errc::end_of_stream);
        CHECK(done == 4);
        scripted_stream exact("0123456\n", {3});
        CHECK((co_await io::read_until(exact, memory, "\n", done)).value() == 8);
    });
}

TEST_CASE("IO-01: write_all writes everything, however little is taken at a time") {
    simulate([]() -> task<> {
        scripted_stream to("", {3, 1, 100});
        std::size_t done = 0;
        CHECK((co_await io::write_all(to, "0123456789", done)).has_value());
        CHECK(done == 10);
        CHECK(to.written() == "0123456789");
        CHECK(to.writes() == 3);
        CHECK((co_await io::write_all(to, std::string_view(), done)).has_value());
        CHECK(done == 0);
        CHECK(to.writes() == 3);
    });
}

TEST_CASE("a write that fails says how far it came") {
    simulate([]() -> task<> {
        scripted_stream to("", {4});
        to.accept_only(6);
        std::size_t done = 0;
        CHECK((co_await io::write_all(to, "0123456789", done)).error() == std::errc::broken_pipe);
        CHECK(done == 6);
        CHECK((co_await io::write_all(to, "x")).error() == std::errc::broken_pipe);
    });
}

TEST_CASE("several parts are written in order, wherever the parts and what is taken are cut") {
    std::vector<std::string> const texts = {"", "a", "bcd", "", "efghij", "k", ""};
    for (std::size_t taken = 1; taken <= 12; ++taken) {
        simulate([&]() -> task<> {
            scripted_gathering_stream to("", {taken});
            std::size_t done = 0;
            auto const parts = parts_of(texts);
            CHECK((co_await io::write_all(to, std::span<io::const_buffer const>(parts), done)).has_value());
            CHECK(done == 11);
            CHECK(to.written() == "abcdefghijk");
            scripted_stream one_by_one("", {taken});
            CHECK((co_await io::write_all(one_by_one, std::span<io::const_buffer const>(parts))).has_value());
            CHECK(one_by_one.written() == "abcdefghijk");
        });
    }
}

TEST_CASE("many parts go out sixteen at a time; no parts, or only empty ones, need no call") {
    simulate([]() -> task<> {
        std::vector<std::string> const texts(40, "xy");
        scripted_gathering_stream to("", {1000});
        auto const parts = parts_of(texts);
        CHECK((co_await io::write_all(to, std::span<io::const_buffer const>(parts))).has_value());
        CHECK(to.written().size() == 80);
        CHECK(to.most_parts() == 16);
        CHECK(to.writes() == 3);
        std::vector<std::string> const nothing(5);
        auto const empty = parts_of(nothing);
        CHECK((co_await io::write_all(to, std::span<io::const_buffer const>(empty))).has_value());
        CHECK((co_await io::write_all(to, std::span<io::const_buffer const>())).has_value());
        CHECK(to.writes() == 3);
    });
}

TEST_CASE("through real sockets") {
    run_on_each_backend(2, []() -> task<> {
        auto pair = co_await connect_pair();
        std::string const sent(3'000'000, 's');
        auto const send = [&]() -> task<> {
            std::vector<std::string> const texts = {sent, "tail\n"};
            auto const parts = parts_of(texts);
            std::size_t done = 0;
            CHECK((co_await io::write_all(pair.client, std::span<io::const_buffer const>(parts), done)).has_value());
            CHECK(done == sent.size() + 5);
        };
        auto sender = spawn(send());
        std::string got(sent.size(), '\0');
        CHECK((co_await io::read_exactly(pair.server, std::as_writable_bytes(std::span(got)))).has_value());
        CHECK(got == sent);
        std::array<std::byte, 16> memory;
        std::size_t done = 0;
        CHECK((co_await io::read_until(pair.server, memory, "\n", done)).value() == 5);
        co_await std::move(sender);
    });
}

}  // namespace
