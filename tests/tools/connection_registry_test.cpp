#include "magpie/connection_registry.hpp"

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using magpie::sleep;
using magpie::task;
using magpie::tools::connection_phase;
using magpie::tools::connection_registry;
using namespace std::chrono_literals;

namespace {

class socket_pair {
public:
    socket_pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) == 0); }
    socket_pair(socket_pair const&) = delete;
    socket_pair& operator=(socket_pair const&) = delete;
    ~socket_pair() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    int descriptor() const { return ends_[0]; }

    // What reading, or writing, would find.
    bool ended_for_reading() const { return (events() & POLLRDHUP) != 0; }
    bool ended_for_writing() const { return (events() & POLLHUP) != 0; }

private:
    short events() const {
        pollfd asked{.fd = ends_[0], .events = POLLIN | POLLRDHUP, .revents = 0};
        ::poll(&asked, 1, 0);
        return asked.revents;
    }

    std::array<int, 2> ends_{};
};

struct connection {
    explicit connection(connection_registry& registry) : entry(registry, socket.descriptor()) {}

    socket_pair socket;
    connection_registry::entry entry;
};

// Under the simulated clock, with a watch that is cancelled in the end.
void simulate(connection_registry& registry, task<> body) {
    magpie::config settings;
    settings.clock = magpie::clock_kind::simulated;
    auto const main = [](connection_registry& all, task<> inner) -> task<> {
        auto watch = magpie::spawn(all.watch());
        co_await std::move(inner);
        watch.cancel();
    };
    magpie::run(main(registry, std::move(body)), settings);
}

}  // namespace

TEST_CASE("registry: counts its connections") {
    connection_registry registry(1s);
    std::optional<connection> a(std::in_place, registry);
    {
        connection const b(registry);
        connection const c(registry);
        CHECK(registry.size() == 3);
        a.reset();
        CHECK(registry.size() == 2);
    }
    connection const d(registry);
    CHECK(registry.size() == 1);
    CHECK(registry.most() == 3);
}

TEST_CASE("registry: ends what does not move, in the way its phase asks for") {
    connection_registry registry(8s);
    connection idle(registry);
    connection receiving(registry);
    connection sending(registry);
    connection working(registry);
    auto const body = [&]() -> task<> {
        idle.entry.enter(connection_phase::idle);
        receiving.entry.enter(connection_phase::receiving);
        sending.entry.enter(connection_phase::sending);
        working.entry.enter(connection_phase::working);
        co_await sleep(7900ms);
        for (connection* each : {&idle, &receiving, &sending, &working}) {
            CHECK_FALSE(each->entry.timed_out());
        }
        co_await sleep(2200ms);
        for (connection* each : {&idle, &receiving}) {
            CHECK(each->entry.timed_out());
            CHECK(each->socket.ended_for_reading());
            CHECK_FALSE(each->socket.ended_for_writing());
        }
        CHECK(sending.entry.timed_out());
        CHECK(sending.socket.ended_for_writing());
        CHECK_FALSE(working.entry.timed_out());
        CHECK_FALSE(working.socket.ended_for_reading());
    };
    simulate(registry, body());
}

TEST_CASE("registry: every phase begins its time anew") {
    connection_registry registry(8s);
    connection busy(registry);
    auto const body = [&]() -> task<> {
        for (int i = 0; i < 10; ++i) {
            busy.entry.enter(i % 2 == 0 ? connection_phase::idle : connection_phase::sending);
            co_await sleep(7s);
        }
        CHECK_FALSE(busy.entry.timed_out());
    };
    simulate(registry, body());
}

TEST_CASE("registry: without a time-out nothing is ended") {
    connection_registry registry(0s);
    connection idle(registry);
    auto const body = [&]() -> task<> {
        idle.entry.enter(connection_phase::idle);
        co_await sleep(std::chrono::hours(1000));
        CHECK_FALSE(idle.entry.timed_out());
        CHECK_FALSE(idle.socket.ended_for_reading());
    };
    simulate(registry, body());
}

TEST_CASE("registry: a drain ends the idle at once, and the others when they become idle") {
    connection_registry registry(60s);
    connection idle(registry);
    connection receiving(registry);
    connection working(registry);
    CHECK(idle.entry.enter(connection_phase::idle));
    receiving.entry.enter(connection_phase::receiving);
    working.entry.enter(connection_phase::working);
    CHECK_FALSE(registry.draining());
    registry.drain();
    CHECK(registry.draining());
    CHECK(idle.socket.ended_for_reading());
    CHECK_FALSE(idle.entry.timed_out());
    CHECK_FALSE(receiving.socket.ended_for_reading());
    CHECK_FALSE(working.socket.ended_for_reading());
    CHECK(working.entry.enter(connection_phase::sending));
    CHECK_FALSE(working.entry.enter(connection_phase::idle));
    connection late(registry);
    CHECK_FALSE(late.entry.enter(connection_phase::idle));
}
