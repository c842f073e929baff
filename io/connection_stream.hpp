#pragma once

#include <magpie/io/op.hpp>
#include <magpie/io/result.hpp>

#include <optional>

namespace magpie::io {

class tcp_stream;

// Nothing once the listener was shut down; else a connection, or why there is none.
struct as_incoming {
    std::optional<result<tcp_stream>> operator()(completed const& end) const;
};

// The connections that a listener takes, one after the other, from tcp_listener::incoming():
//
//   auto connections = listener.incoming();
//   while (auto connection = co_await connections.next()) {
//       if (*connection) group.spawn(talk(std::move(**connection)));
//   }
//
// It holds nothing but the socket's descriptor. No connection is accepted ahead of next(): so the loop may be left at any
// time, a next() that was cancelled loses none, and what was not taken waits in the kernel's backlog for the next one
// who accepts. io::serve() is that loop with a limit, a graceful end, and a pause when descriptors are short.
//
// Copyable; any number of tasks, on any workers, may take from it and from other streams of the same listener. The
// listener may be moved meanwhile, and must stay open.
class connection_stream {
public:
    explicit connection_stream(int listener) noexcept : listener_(listener) {}

    // Waits for a connection. Nothing: the listener was shut down (or does not listen); so again if asked again. Other
    // errors are those of tcp_listener::accept(), and do not end the stream: after those that pass, ask again.
    // Cancelling it throws task_cancelled, or gives the connection that was accepted all the same.
    op<as_incoming> next() const;

private:
    int listener_;
};

}  // namespace magpie::io
