#include <magpie/io/buffer.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

config with_few_buffers(config c) {
    c.io.buffer_ring = {.size = 256, .count = 8};
    return c;
}

TEST_CASE("a receive borrows a buffer with what came, and gives an empty one at the end") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        CHECK((co_await pair.client.write("hello")).value() == 5);
        auto got = (co_await pair.server.read()).value();
        CHECK(got.text() == "hello");
        CHECK(got.size() == 5);
        CHECK(!got.empty());
        CHECK(pair.client.shutdown(io::shutdown_side::send));
        auto const end = (co_await pair.server.read()).value();
        CHECK(end.empty());
        CHECK(got.text() == "hello");  // still ours
        got.reset();
        CHECK(got.empty());
    });
}

TEST_CASE("a message that is larger than a buffer comes in parts") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            auto pair = co_await connect_pair();
            std::string const sent(1000, 'm');
            CHECK((co_await pair.client.write(sent)).value() == 1000);
            std::string got;
            while (got.size() < sent.size()) {
                auto const part = (co_await pair.server.read()).value();
                CHECK(part.size() <= 256);
                got += part.text();
            }
            CHECK(got == sent);
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("moving a buffer moves the loan") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        (void)co_await pair.client.write("a");
        auto a = (co_await pair.server.read()).value();
        (void)co_await pair.client.write("b");
        auto b = (co_await pair.server.read()).value();
        b = std::move(a);
        CHECK(b.text() == "a");
        CHECK(a.empty());  // NOLINT: that it is empty is the point
        io::buffer c(std::move(b));
        CHECK(c.text() == "a");
        CHECK(b.empty());  // NOLINT
    });
}

// Receives on more connections than there are buffers, which are all lent.
struct crowd {
    std::vector<connected> pairs;
    std::vector<io::buffer> lent;
    std::vector<join_handle<std::string>> waiting;
};

task<std::string> receive_text(io::tcp_stream const& from) {
    auto const got = (co_await from.read()).value();
    co_return std::string(got.text());
}

task<> lend_all(crowd& all, int more) {
    for (int i = 0; i < 8 + more; ++i) {
        all.pairs.push_back(co_await connect_pair());
    }
    for (std::size_t i = 0; i < 8; ++i) {
        (void)co_await all.pairs[i].client.write("lent");
        all.lent.push_back((co_await all.pairs[i].server.read()).value());
    }
    for (std::size_t i = 8; i < all.pairs.size(); ++i) {
        (void)co_await all.pairs[i].client.write("waited");
    }
    for (std::size_t i = 8; i < all.pairs.size(); ++i) {  // so that all of them find no buffer in one go
        all.waiting.push_back(spawn(receive_text(all.pairs[i].server)));
    }
    co_await let_others_run();
    for (auto const& each : all.waiting) {
        CHECK(!each.done());
    }
}

TEST_CASE("while all buffers are lent, receives wait; each that comes back lets one go on") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            crowd all;
            co_await lend_all(all, 20);
            all.lent.pop_back();
            for (auto& each : all.waiting) {
                CHECK(co_await std::move(each) == "waited");
            }
            CHECK(all.lent.front().text() == "lent");
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("a receive that waits for a buffer can be cancelled, and the others still get theirs") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            crowd all;
            co_await lend_all(all, 6);
            for (std::size_t i = 0; i < all.waiting.size(); i += 2) {
                all.waiting[i].cancel();
            }
            for (std::size_t i = 0; i < all.waiting.size(); i += 2) {
                CHECK_THROWS_AS(co_await std::move(all.waiting[i]), child_cancelled);
            }
            CHECK(detail::current_driver().in_flight() == 0);
            all.lent.clear();
            for (std::size_t i = 1; i < all.waiting.size(); i += 2) {
                CHECK(co_await std::move(all.waiting[i]) == "waited");
            }
            CHECK(co_await receive_text(all.pairs[8].server) == "waited");  // the cancelled ones took nothing
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("a buffer may be given back by any thread: who waits for one is woken") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            crowd all;
            co_await lend_all(all, 3);
            std::thread helper([lent = std::move(all.lent)]() mutable { lent.clear(); });
            for (auto& each : all.waiting) {
                CHECK(co_await std::move(each) == "waited");
            }
            helper.join();
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("buffers that come back while others begin to wait: nobody waits for ever") {
    on_each_backend(2, [](config const& c) {
        auto const main = []() -> task<> {
            std::vector<connected> pairs;
            for (int i = 0; i < 24; ++i) {
                pairs.push_back(co_await connect_pair());
            }
            auto const receive = [](connected& pair, unsigned rounds) -> task<> {
                for (unsigned i = 0; i < rounds; ++i) {
                    (void)co_await pair.client.write("x");
                    auto const got = (co_await pair.server.read()).value();
                    CHECK(got.text() == "x");
                    co_await this_task::yield();  // with the buffer in hand
                }
            };
            std::vector<join_handle<void>> all;
            for (auto& each : pairs) {
                all.push_back(spawn(receive(each, rounds(300))));
            }
            for (auto& each : all) {
                co_await std::move(each);
            }
        };
        run(main(), with_few_buffers(c));
    });
}

TEST_CASE("buffers may outlive the runtime") {
    on_each_backend(2, [](config const& c) {
        auto const main = []() -> task<std::vector<io::buffer>> {
            std::vector<io::buffer> kept;
            for (int i = 0; i < 3; ++i) {
                auto pair = co_await connect_pair();
                (void)co_await pair.client.write("kept");
                kept.push_back((co_await pair.server.read()).value());
            }
            co_return kept;
        };
        auto kept = run(main(), c);
        CHECK(kept.size() == 3);
        for (auto const& each : kept) {
            CHECK(each.text() == "kept");
        }
    });
}

TEST_CASE("a connection that is idle holds no buffer") {
    on_each_backend(1, [](config const& c) {
        auto const main = []() -> task<> {
            std::vector<connected> pairs;
            std::vector<join_handle<std::string>> waiting;
            for (int i = 0; i < 50; ++i) {  // far more than there are buffers
                pairs.push_back(co_await connect_pair());
                waiting.push_back(spawn(receive_text(pairs.back().server)));
            }
            co_await let_others_run();
            auto busy = co_await connect_pair();
            for (int i = 0; i < 20; ++i) {
                (void)co_await busy.client.write("through");
                CHECK(co_await receive_text(busy.server) == "through");
            }
            for (auto& pair : pairs) {
                (void)co_await pair.client.write("awake");
            }
            for (auto& each : waiting) {
                CHECK(co_await std::move(each) == "awake");
            }
        };
        run(main(), with_few_buffers(c));
    });
}

}  // namespace
