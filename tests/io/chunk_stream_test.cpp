#include <magpie/combinators/select.hpp>
#include <magpie/io/chunk_stream.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <io/support/allocations.hpp>
#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

config with_few_buffers(config c) {
    c.io.buffer_ring = {.size = 256, .count = 8};
    return c;
}

// No two places of it look alike for long.
std::string numbered(std::size_t length) {
    std::string text;
    for (unsigned i = 0; text.size() < length; ++i) {
        text += std::to_string(i) + ' ';
    }
    text.resize(length);
    return text;
}

task<> sends(io::tcp_stream& to, std::string_view text) {
    CHECK(co_await io::write_all(to, text));
    CHECK(to.shutdown(io::shutdown_side::send));
}

task<std::string> rest_of(io::chunk_stream chunks) {
    std::string got;
    while (auto chunk = co_await chunks.next()) {
        REQUIRE(chunk->has_value());
        CHECK(!(*chunk)->empty());
        got += (*chunk)->text();
    }
    co_return got;
}

// For a task of its own, so that it can be cancelled. Empty: the end.
task<std::string> one_of(io::chunk_stream chunks, std::atomic<bool>& begun) {
    begun.store(true);
    auto const chunk = co_await chunks.next();
    co_return chunk ? std::string(chunk->value().text()) : std::string();
}

TEST_CASE("a connection's bytes come piece by piece, exactly, until the end, and the end stays") {
    for (unsigned const workers : {1U, 2U}) {
        on_each_backend(workers, [](config const& c) {
            auto const main = []() -> task<> {
                auto pair = co_await connect_pair();
                std::string const sent = numbered(rounds(400'000));
                auto sender = spawn(sends(pair.client, sent));
                auto const chunks = pair.server.chunks();
                CHECK(co_await rest_of(chunks) == sent);
                CHECK(!co_await chunks.next());
                co_await std::move(sender);
            };
            run(main(), with_few_buffers(c));
        });
    }
}

TEST_CASE("pieces that are kept lack in the loop, and nothing is lost by it") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            auto pair = co_await connect_pair();
            std::string const sent = numbered(50 * 256);
            auto sender = spawn(sends(pair.client, sent));
            auto const chunks = pair.server.chunks();
            std::string got;
            std::vector<io::buffer> kept;
            for (;;) {
                std::atomic<bool> begun{false};
                auto next = spawn(one_of(chunks, begun));
                if (kept.size() == 8) {  // all that there are: the next piece waits until one comes back
                    co_await let_others_run();
                    CHECK(!next.done());
                    kept.clear();
                }
                auto const part = co_await std::move(next);
                if (part.empty()) {
                    break;
                }
                got += part;
                auto again = co_await chunks.next();
                if (again) {
                    got += again->value().text();
                    kept.push_back(std::move(again->value()));
                }
            }
            CHECK(got == sent);
            co_await std::move(sender);
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("CAN-25: a next() that is cancelled loses nothing, at whatever moment, and may be called again") {
    for (unsigned const workers : {1U, 2U}) {
        on_each_backend(workers, [](config const& c) {
            auto const main = []() -> task<> {
                auto pair = co_await connect_pair();
                auto const chunks = pair.server.chunks();
                std::string sent;
                std::string got;
                for (unsigned r = 0; r < rounds(400); ++r) {
                    std::atomic<bool> begun{false};
                    auto next = spawn(one_of(chunks, begun));
                    co_await until_true([&] { return begun.load(); });
                    if (r % 4 == 3) {
                        next.cancel();
                    }
                    std::string const part = std::to_string(r) + ' ';
                    CHECK((co_await pair.client.write(part)).value() == part.size());
                    sent += part;
                    for (unsigned turns = r % 4; turns != 0; --turns) {
                        co_await this_task::yield();
                    }
                    next.cancel();
                    try {
                        auto const piece = co_await std::move(next);
                        CHECK(!piece.empty());
                        got += piece;
                    } catch (child_cancelled const&) {}
                }
                CHECK(pair.client.shutdown(io::shutdown_side::send));
                got += co_await rest_of(chunks);
                CHECK(got == sent);
            };
            run(main(), with_few_buffers(c));
        });
    }
}

TEST_CASE("who leaves the loop leaves the rest in the socket, for read() or another stream") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        CHECK((co_await pair.client.write("first")).value() == 5);
        {
            auto const chunks = pair.server.chunks();
            CHECK((co_await chunks.next()).value().value().text() == "first");
        }
        CHECK((co_await pair.client.write("second")).value() == 6);
        CHECK((co_await pair.server.read()).value().text() == "second");
        CHECK((co_await pair.client.write("third")).value() == 5);
        auto const chunks = pair.server.chunks();
        io::tcp_stream const moved = std::move(pair.server);
        CHECK((co_await chunks.next()).value().value().text() == "third");
    });
}

TEST_CASE("an error comes out of next()") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto const chunks = pair.server.chunks();
        CHECK((co_await pair.client.write("last")).value() == 4);
        CHECK((co_await chunks.next()).value().value().text() == "last");
        CHECK(pair.client.reset_on_close());
        pair.client.close();
        CHECK((co_await chunks.next()).value().error() == std::errc::connection_reset);
        CHECK(!co_await chunks.next());
        io::tcp_stream const none;
        CHECK((co_await none.chunks().next()).value().error() == std::errc::bad_file_descriptor);
    });
}

TEST_CASE("a piece that does not come within the connection's wait limit is an error, and no end") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.set_wait_limit(1ms);
        auto const hasty = pair.server.chunks();
        pair.server.set_wait_limit(duration::zero());
        CHECK((co_await hasty.next()).value().error() == std::errc::timed_out);
        CHECK((co_await pair.client.write("late")).value() == 4);
        CHECK((co_await pair.server.chunks().next()).value().value().text() == "late");
    });
}

TEST_CASE("a piece that came in spite of a lost select is not dropped") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto other = co_await connect_pair();
        auto const chunks = pair.server.chunks();
        std::string sent;
        std::string got;
        for (unsigned r = 0; r < rounds(200); ++r) {
            sent += std::to_string(r);
            CHECK((co_await pair.client.write(std::to_string(r))).value() != 0);
            CHECK((co_await other.client.write("x")).value() == 1);
            auto won = co_await select(other.server.chunks().next(), chunks.next());
            if (won.index == 1) {
                got += std::get<1>(won.value).value().value().text();
                (void)co_await other.server.read();
            } else if (auto const& late = won.template late<1>(); late) {
                got += late->value().value().text();
            }
        }
        CHECK(pair.client.shutdown(io::shutdown_side::send));
        got += co_await rest_of(chunks);
        CHECK(got == sent);
    });
}

TEST_CASE("a piece costs no allocation") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto const chunks = pair.server.chunks();
        auto const some = [&]() -> task<> {
            for (int i = 0; i < 100; ++i) {
                (void)co_await pair.client.write("x");
                CHECK((co_await chunks.next()).value().value().text() == "x");
            }
        };
        co_await some();
        auto const before = allocations_made();
        co_await some();
        if (!sanitized) {
            CHECK(allocations_made() == before);
        }
    });
}

}  // namespace
