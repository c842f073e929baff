#pragma once

#include <magpie/io/buffer.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/result.hpp>
#include <magpie/runtime/clock.hpp>

#include <optional>

namespace magpie::io {

// Nothing at the end; else what was received, or why nothing was.
struct as_chunk {
    std::optional<result<buffer>> operator()(completed const& end) const {
        std::optional<result<buffer>> chunk(as_buffer()(end));
        if (*chunk && (*chunk)->empty()) {
            chunk.reset();
        }
        return chunk;
    }
};

// What a connection brings, piece by piece, from tcp_stream::chunks():
//
//   auto chunks = stream.chunks();
//   while (auto chunk = co_await chunks.next()) {
//       if (!*chunk) co_return;  // chunk->error() tells why
//       use(**chunk);            // a buffer
//   }
//
// It holds nothing but the socket's descriptor. Nothing is received ahead of next(), and a piece that nobody was given is
// still in the socket: so the loop may be left at any time and the connection read in another way, a next() that was
// cancelled loses nothing and may be called again, and a consumer that is slow makes the other side wait. Pieces come in
// order. The size of one is what there was, up to config.io.buffer_ring.size.
//
// Copyable; any worker; one next() at a time, or the pieces are shared in an order that nobody knows. The connection may
// be moved meanwhile, and must stay open.
class chunk_stream {
public:
    chunk_stream(int socket, duration wait_limit) noexcept : socket_(socket), wait_limit_(wait_limit) {}

    // Waits for the next piece, in a buffer of the event loop's that is borrowed when there is something to receive: give
    // it back soon (io/buffer.hpp). Nothing: the other side has sent its end; so again if asked again. Errors are those
    // of tcp_stream::read(): timed_out, if the connection had a wait limit when chunks() was called, after which it may
    // be asked again, and connection_reset.
    // Cancelling it throws task_cancelled, or gives the piece that was received all the same.
    timed_op<as_chunk> next() const {
        return timed_op<as_chunk>({.code = opcode::recv, .entry_flags = entry_buffer_select, .fd = socket_},
                                  wait_limit_);
    }

private:
    int socket_;
    duration wait_limit_;
};

}  // namespace magpie::io
