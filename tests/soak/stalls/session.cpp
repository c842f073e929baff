#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <span>
#include <utility>

#include <soak/stalls/session.hpp>
#include <sys/socket.h>

namespace magpie::tests {

using namespace std::chrono_literals;

namespace {

// A small one makes writes wait.
void set_send_buffer(io::tcp_stream const& stream, int bytes) {
    (void)::setsockopt(stream.descriptor(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

task<> body_of_client(world& w, io::tcp_stream stream, std::uint64_t seed) {
    {
        actor who(w.watch, "client's greeting", w.number(), mixed(seed));
        waiting wait(who, "room for the number");
        auto const all = co_await io::write_all(stream, std::as_bytes(std::span(&seed, 1)));
        wait.over();
        if (!all) {
            w.watch.fail("a session cannot begin: " + all.error().message());
        }
    }
    co_await run_session(w, std::move(stream), seed, true);
}

// Nothing: the time was too short.
task<std::optional<io::tcp_stream>> try_connect(world& w, io::endpoint where, actor& me) {
    waiting wait(me, "a connection");
    bool const hurry = me.roll.one_in(4);
    try {
        auto made = co_await timeout(hurry ? me.roll.up_to(500us) : duration(1h), io::tcp_stream::connect(where));
        wait.over();
        if (!made) {
            w.watch.fail("cannot connect: " + made.error().message());
        }
        co_return std::move(*made);
    } catch (timeout_error const&) {}
    w.count(tally_of::timed_out);
    co_return std::nullopt;
}

std::optional<io::tcp_stream> unix_pair(world& w) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        w.watch.fail("socketpair failed");
    }
    w.detached.fetch_add(1);
    spawn_detached(server_session(w, io::tcp_stream(io::fd(ends[1]))));
    return io::tcp_stream(io::fd(ends[0]));
}

task<> break_off(world& w, join_handle<> session, actor& me) {
    waiting wait(me, "the time to cut a session short");
    co_await sleep(me.roll.up_to(20ms));
    session.cancel();
    try {
        co_await std::move(session);
    } catch (child_cancelled const&) {
        w.count(tally_of::broken);
    }
}

task<> serve_one(world& w, io::tcp_stream stream) {
    std::uint64_t seed = 0;
    std::size_t done = 0;
    {
        actor who(w.watch, "server's greeting", w.number(), w.number());
        waiting wait(who, "the number");
        auto const all = co_await io::read_exactly(stream, std::as_writable_bytes(std::span(&seed, 1)), done);
        wait.over();
        if (!all) {
            co_return;  // a client that connected and did not wait, or that was cancelled at once
        }
    }
    session_plan const plan(seed);
    dice roll(mixed(seed + 6));
    if (plan.may_break && roll.one_in(3)) {
        try {
            co_await timeout(roll.up_to(20ms), run_session(w, std::move(stream), seed, false));
        } catch (timeout_error const&) {
            w.count(tally_of::broken);
        }
        co_return;
    }
    co_await run_session(w, std::move(stream), seed, false);
}

}  // namespace

task<> run_session(world& w, io::tcp_stream stream, std::uint64_t seed, bool is_client) {
    session_plan const plan(seed);
    dice roll(mixed(seed + (is_client ? 7 : 8)));
    if (roll.one_in(2)) {
        set_send_buffer(stream, 4096);
    }
    if (roll.one_in(4)) {
        stream.set_wait_limit(roll.up_to(4ms));
    }
    half up(w, stream, plan.upwards(), plan.to_server, plan.may_break, is_client ? "client sends" : "server receives",
            seed);
    half down(w, stream, plan.downwards(), plan.to_client, plan.may_break,
              is_client ? "client receives" : "server sends", seed);
    // The actors of both directions are the children's; this task only waits for them.
    if (is_client) {
        co_await gather(send_all(up), receive_all(down));
    } else {
        co_await gather(receive_all(up), send_all(down));
    }
    if (plan.may_break && roll.one_in(2)) {
        (void)stream.reset_on_close();
    }
    w.count(tally_of::sessions);
}

task<> client_session(world& w, io::endpoint where, bool unix, actor& me) {
    std::uint64_t const seed = me.roll.next();
    std::optional<io::tcp_stream> stream;
    if (unix) {
        stream = unix_pair(w);
    } else {
        stream = co_await try_connect(w, where, me);
    }
    if (!stream) {
        co_return;
    }
    auto session = spawn(body_of_client(w, std::move(*stream), seed));
    if (session_plan(seed).may_break && me.roll.one_in(2)) {
        co_await break_off(w, std::move(session), me);
    } else {
        waiting wait(me, "a session");
        co_await std::move(session);
    }
}

task<> server_session(world& w, io::tcp_stream stream) {
    co_await serve_one(w, std::move(stream));
    w.detached.fetch_sub(1);
}

}  // namespace magpie::tests
