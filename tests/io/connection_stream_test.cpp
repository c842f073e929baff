#include <magpie/combinators/task_group.hpp>
#include <magpie/io/connection_stream.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<io::tcp_stream> connect_to(io::tcp_listener const& listener) {
    co_return (co_await io::tcp_stream::connect(listener.local_endpoint().value())).value();
}

// Tells by a byte which connection it is.
task<io::tcp_stream> connect_as(io::tcp_listener const& listener, char name) {
    auto stream = co_await connect_to(listener);
    CHECK((co_await stream.write(std::string_view(&name, 1))).value() == 1);
    co_return stream;
}

task<std::string> name_of(io::tcp_stream const& stream) {
    auto const got = (co_await stream.read()).value();
    co_return std::string(got.text());
}

task<std::string> name_of_next(io::connection_stream connections) {
    auto const connection = co_await connections.next();
    co_return co_await name_of(connection.value().value());
}

TEST_CASE("connections come one after the other, until the listener is shut down, and the end stays") {
    run_on_each_backend(2, []() -> task<> {
        auto listener = listen_on_loopback();
        auto const connections = listener.incoming();
        std::vector<io::tcp_stream> clients;
        for (char const name : {'a', 'b', 'c'}) {
            clients.push_back(co_await connect_as(listener, name));
        }
        std::string seen;
        while (auto connection = co_await connections.next()) {
            seen += co_await name_of(connection->value());
            if (seen.size() == 3) {
                CHECK(listener.shutdown());
            }
        }
        CHECK(seen == "abc");
        CHECK(!co_await connections.next());
    });
}

TEST_CASE("the end comes to who waits for a connection") {
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        auto const takes = [](io::connection_stream connections) -> task<bool> {
            auto const connection = co_await connections.next();
            co_return connection.has_value();
        };
        auto waits = spawn(takes(listener.incoming()));
        co_await let_others_run();
        CHECK(listener.shutdown());
        CHECK(!co_await std::move(waits));
    });
}

TEST_CASE("who leaves the loop leaves the other connections to the next one who accepts") {
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        std::vector<io::tcp_stream> clients;
        for (char const name : {'a', 'b', 'c', 'd'}) {
            clients.push_back(co_await connect_as(listener, name));
        }
        CHECK(co_await name_of_next(listener.incoming()) == "a");
        auto const second = co_await listener.accept();
        CHECK(co_await name_of(second.value()) == "b");
        auto const connections = listener.incoming();
        io::tcp_listener const moved = std::move(listener);
        CHECK(co_await name_of_next(connections) == "c");
        CHECK(co_await name_of_next(moved.incoming()) == "d");
    });
}

TEST_CASE("CAN-25: a next() that is cancelled loses no connection, at whatever moment, and may be called again") {
    run_on_each_backend(2, []() -> task<> {
        auto listener = listen_on_loopback();
        auto const connections = listener.incoming();
        unsigned const all = rounds(200);
        unsigned taken = 0;
        std::vector<io::tcp_stream> clients;
        auto const takes = [](io::connection_stream from, std::atomic<bool>& begun) -> task<io::tcp_stream> {
            begun.store(true);
            auto connection = co_await from.next();
            co_return std::move(connection).value().value();
        };
        for (unsigned r = 0; r < all; ++r) {
            std::atomic<bool> begun{false};
            auto next = spawn(takes(connections, begun));
            co_await until_true([&] { return begun.load(); });
            if (r % 4 == 3) {
                next.cancel();
            }
            clients.push_back(co_await connect_to(listener));
            for (unsigned turns = r % 4; turns != 0; --turns) {
                co_await this_task::yield();
            }
            next.cancel();
            try {
                auto const stream = co_await std::move(next);
                taken += stream.is_open() ? 1 : 0;
            } catch (child_cancelled const&) {}
            if (clients.size() == 50) {
                clients.clear();  // those that wait are accepted all the same
            }
        }
        while (taken < all) {
            CHECK((co_await connections.next()).value().has_value());
            ++taken;
        }
        CHECK(listener.shutdown());
        CHECK(!co_await connections.next());
    });
}

TEST_CASE("several tasks may take from one stream: each connection goes to one of them, and all end") {
    for (unsigned const workers : {2U, 8U}) {
        run_on_each_backend(workers, []() -> task<> {
            auto listener = listen_on_loopback();
            constexpr unsigned all = 60;
            std::atomic<unsigned> taken{0};
            auto const takes = [&](io::connection_stream connections) -> task<> {
                while (auto const connection = co_await connections.next()) {
                    CHECK(connection->has_value());
                    if (taken.fetch_add(1) + 1 == all) {
                        CHECK(listener.shutdown());
                    }
                }
            };
            co_await with_task_group([&](task_group& g) -> task<> {
                for (int i = 0; i < 4; ++i) {
                    g.spawn(takes(listener.incoming()));
                }
                std::vector<io::tcp_stream> clients;
                for (unsigned i = 0; i < all; ++i) {
                    clients.push_back(co_await connect_to(listener));
                }
            });
            CHECK(taken.load() == all);
        });
    }
}

TEST_CASE("an error does not end the stream: without descriptors it says so, and goes on when there are some") {
#if defined(MAGPIE_TESTS_ASAN)
    MESSAGE("not tried: the sanitizer for undefined behaviour needs descriptors to look at an object's type");
    return;
#endif
    run_on_each_backend(1, []() -> task<> {
        auto listener = listen_on_loopback();
        auto const connections = listener.incoming();
        auto const first = co_await connect_as(listener, 'a');
        CHECK(co_await name_of_next(connections) == "a");
        auto const second = co_await connect_as(listener, 'b');
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
        int const highest = ::dup(0);
        ::close(highest);
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(highest);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
        auto const refused = co_await connections.next();
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        CHECK(refused.value().error() == std::errc::too_many_files_open);
        CHECK(co_await name_of_next(connections) == "b");
        io::tcp_listener const none;
        CHECK((co_await none.incoming().next()).value().error() == std::errc::bad_file_descriptor);
    });
}

}  // namespace
