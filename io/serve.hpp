#pragma once

#include <magpie/combinators/gather.hpp>
#include <magpie/io/detail/serve_core.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/task.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::io {

// All members are optional.
struct serve_options {
    std::size_t limit = 10'000;  // connections at once; more wait in the kernel's backlog until one has ended
    duration idle_timeout{};     // a read or write that waits for longer gives timed_out; zero: none does
    duration drain = std::chrono::seconds{10};  // how long connections may go on when serve() ends
    unsigned acceptors = 1;  // accepts that wait at the same time, each on a worker of its own; zero: one on each worker
    bool spread = true;      // a connection begins on the worker with the least to do; false: where it was accepted
};

// Takes a connection and gives an awaitable.
template <class Handler>
concept connection_handler =
    std::invocable<Handler&, tcp_stream> && awaitable<std::invoke_result_t<Handler&, tcp_stream>>;

}  // namespace magpie::io

namespace magpie::detail {

template <class Handler>
task<> run_handler(Handler& handler, io::tcp_stream stream) {
    try {
        (void)co_await std::invoke(handler, std::move(stream));
    } catch (task_cancelled const&) {
        throw;
    } catch (...) {
        serve_core::report(std::current_exception());
    }
}

template <class Handler>
task<> accept_for_ever(serve_core& core, Handler& handler) {
    while (auto stream = co_await core.next()) {
        core.begin(run_handler(handler, std::move(*stream)));
    }
}

template <class Handler>
task<> accept_on(unsigned worker, serve_core& core, Handler& handler) {
    co_await move_to_worker(worker);
    co_await accept_for_ever(core, handler);
}

template <class Handler>
task<> accept_on_several(serve_core& core, Handler& handler) {
    std::vector<task<>> acceptors;
    for (unsigned i = 0; i < core.acceptors(); ++i) {
        acceptors.push_back(accept_on(i, core, handler));
    }
    co_await gather(std::move(acceptors));
}

template <class Handler>
task<> serve_and_drain(io::tcp_listener const& listener, Handler handler, io::serve_options options) {
    serve_core core(listener, options);
    std::exception_ptr error;
    try {
        if (core.acceptors() == 1) {
            co_await accept_for_ever(core, handler);
        } else {
            co_await accept_on_several(core, handler);
        }
    } catch (...) {
        error = std::current_exception();
    }
    co_await core.drain();
    if (error) {
        std::rethrow_exception(std::move(error));
    }
}

template <class Handler>
task<> serve_owned(io::tcp_listener listener, Handler handler, io::serve_options options) {
    co_await serve_and_drain<Handler>(listener, std::move(handler), options);
}

}  // namespace magpie::detail

namespace magpie::io {

// Accepts connections and runs handler(stream) for each, as a task of its own: any number of them in parallel, so the
// handler must be callable from several workers at once. It lives until serve() has returned.
//
// A connection begins on the worker that has the least to do, counted in ready tasks and in I/O operations that wait;
// of many workers a few are looked at. A worker that is stuck in a task gets none while another is free, and what was
// sent to one that is stuck a moment later is taken over by another. A difference of 4 and a sixteenth is tolerated. So
// connections that stay are spread evenly, also if they were stolen or rescued later. Where there is no rescue
// (config.rescue), and with options.spread = false, a connection begins where it was accepted, or is stolen.
// One acceptor suffices, and costs least: docs/decisions/0007-accepting.md has the figures. They share the one queue of
// the listener, so that with any number of them the limit is exact, and none that was accepted is lost in the end.
//
// What a handler throws is reported to on_unhandled, and the server goes on; so it does when an accept fails for a reason
// that passes: a connection that was gone already, or no descriptors (then it says so once, and pauses).
//
// Cancelling serve() is the graceful end: it accepts no more, waits for the connections up to options.drain, cancels
// those that are left, waits for them, and throws task_cancelled. tcp_listener::shutdown() ends it in the same way, but it
// returns. An operation that was begun on a worker that is stuck can be ended there only, so without rescue serve() may
// have to wait for that worker; connections that are not its own have been cancelled by then.
// Connections that were not accepted wait in the kernel until the listener is closed, which resets them: a
// listener that outlives serve() can be served again.
//
// It throws std::invalid_argument for a limit of 0, and std::system_error if the listener is none.
// The listener must outlive it, or is moved in. Handlers and listener may be on any worker.
template <class Handler>
    requires connection_handler<std::decay_t<Handler>>
task<> serve(tcp_listener const& listener, Handler&& handler, serve_options options = {}) {
    detail::check_closure<Handler>();
    return detail::serve_and_drain<std::decay_t<Handler>>(listener, std::forward<Handler>(handler), options);
}
template <class Handler>
    requires connection_handler<std::decay_t<Handler>>
task<> serve(tcp_listener&& listener, Handler&& handler, serve_options options = {}) {
    detail::check_closure<Handler>();
    return detail::serve_owned<std::decay_t<Handler>>(std::move(listener), std::forward<Handler>(handler), options);
}

}  // namespace magpie::io
