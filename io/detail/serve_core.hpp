#pragma once

// What serve() is made of, but for the handler. The connections' tasks are nobody's children: the task that runs serve()
// is cancelled to end it, and they are to go on for a while then. So this is their owner: it holds a handle of each, and
// joins them all before serve() returns.
//
// A connection takes a place before it is accepted, and gives it back when its task has ended. So all of them have ended
// when all places can be taken, which is what drain() waits for.
//
// Who waits for a place has no accept in the kernel that would tell it of the listener's shutdown. So the first who has
// to wait starts a task that watches the listener; when that has been shut down there is a place more for each acceptor,
// which finds out with its next accept.

#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>

namespace magpie::io {
class tcp_listener;
class tcp_stream;
struct serve_options;
}  // namespace magpie::io

namespace magpie::detail {

class serve_core final : public task_owner {
public:
    // Throws std::invalid_argument if the limit is 0.
    serve_core(io::tcp_listener const& listener, io::serve_options const& options);
    ~serve_core();

    // How many tasks are to call next(), each from a worker of its own if there are as many.
    unsigned acceptors() const noexcept { return acceptors_; }
    // Waits for a place and then for a connection. Nothing: the listener was shut down. Throws std::system_error for
    // errors that can only mean that the listener is none. Several tasks may do so at once.
    task<std::optional<io::tcp_stream>> next();
    // Runs what next() gave a connection to, on this worker or on one that has less to do.
    void begin(task<> connection);
    // Waits until all connections have ended; for the given time they may take, then they are cancelled. Is not cut
    // short by a cancellation.
    task<> drain();

    // The handler threw.
    static void report(std::exception_ptr error) noexcept;

private:
    using children = intrusive_list<spawned_base, &spawned_base::sibling>;

    void child_ended(spawned_base& child) noexcept override;
    task<> wait_for_the_end();
    void cancel_children() noexcept;
    void watch_listener() noexcept;
    task<> wait_for_shutdown();
    void stop_watching() noexcept;
    task<> watch_ended();
    task<> connections_ended();
    // True: the error passes, or was only that of a connection that is gone.
    task<bool> passes(std::error_code error);

    io::tcp_listener const* listener_;
    duration idle_timeout_;
    duration drain_;
    std::ptrdiff_t limit_;
    unsigned acceptors_;
    bool spread_;
    semaphore places_;  // limit_ of them; once the listener was shut down one more for each acceptor, until drain()
    atomic<bool> said_why_{false};            // of the present shortage
    atomic<bool> watching_{false};            // somebody has started the watch
    std::optional<join_handle<void>> watch_;  // written by that one, read when all acceptors have ended
    std::mutex mutex_;                        // not a spin lock: a cancellation may write to an eventfd
    children children_;                       // under mutex_
    bool draining_ = false;                   // under mutex_: there are limit_ places, for good
};

}  // namespace magpie::detail
