#pragma once

// A session: a connection on which both ends send a known number of known bytes, read the other's to the end, and check
// each of them. What is sent, and how much, follows from the session's number, which the client sends first.
// Some sessions may be cut short by either end, at any time; up to there their bytes must be right, too.

#include <magpie/io/result.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>

#include <soak/stalls/world.hpp>

namespace magpie::tests {

struct session_plan {
    explicit session_plan(std::uint64_t its_seed)
        : seed(its_seed), to_server(length(1)), to_client(length(2)), may_break(mixed(seed + 3) % 8 == 0) {}

    byte_pattern upwards() const { return byte_pattern(mixed(seed + 4)); }
    byte_pattern downwards() const { return byte_pattern(mixed(seed + 5)); }

    std::uint64_t seed;
    std::uint64_t to_server;
    std::uint64_t to_client;
    bool may_break;

private:
    // Mostly short, so that there are many.
    std::uint64_t length(std::uint64_t nth) const {
        std::uint64_t const x = mixed(seed + nth);
        return x % 8 == 0 ? mixed(x) % 200'000 : mixed(x) % 20'000;
    }
};

// One direction of a session, at one end.
struct half {
    half(world& w, io::tcp_stream& s, byte_pattern p, std::uint64_t n, bool b, char const* role, std::uint64_t seed)
        : all(w),
          stream(s),
          bytes(p),
          session(seed),
          total(n),
          may_break(b),
          me(w.watch, role, seed, mixed(seed) ^ n, n) {}

    std::uint64_t done() const noexcept { return me.at.load(std::memory_order_relaxed); }
    void advance(std::size_t n) noexcept { me.at.fetch_add(n, std::memory_order_relaxed); }

    world& all;
    io::tcp_stream& stream;
    byte_pattern bytes;
    std::uint64_t session;
    std::uint64_t total;
    bool may_break;
    actor me;
};

// How one operation went.
enum class step : std::uint8_t { moved, nothing, ended, broken };

// Nothing: the operation's own limit passed. Broken: the connection was cut, as it may be. Anything else is a failure.
step judge(half& h, std::error_code error);

// Reads to the end, in all the ways there are.
task<> receive_all(half& h);
// Sends everything, and the end.
task<> send_all(half& h);

// One end of a session, up to the end of the connection. The number has been sent, or received.
task<> run_session(world& w, io::tcp_stream stream, std::uint64_t seed, bool is_client);
// The same, begun by a client: connects (to a unix socket's other end, whose server it starts, if `unix`), and may
// cut the session short.
task<> client_session(world& w, io::endpoint where, bool unix, actor& me);
// The same for a connection that was accepted. Detached: counted in w.detached before it is spawned.
task<> server_session(world& w, io::tcp_stream stream);

}  // namespace magpie::tests
