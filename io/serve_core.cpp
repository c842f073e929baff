#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/detail/serve_core.hpp>
#include <magpie/io/serve.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <algorithm>
#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <errno.h>
#include <sys/socket.h>

namespace magpie::detail {

namespace {

constexpr auto pause_when_short = std::chrono::milliseconds{50};

// accept(2) gives errors of the new connection as its own.
bool is_of_the_connection(int error) noexcept {
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case EPERM:
    case EAGAIN:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

// What is short, and what can be done about it; null: nothing is.
char const* shortage(int error) noexcept {
    switch (error) {
    case EMFILE:
        return "the process has too many open files to accept a connection; raise the limit with `ulimit -n`, or lower "
               "the limit of connections";
    case ENFILE:
        return "the system has too many open files to accept a connection; raise the sysctl fs.file-max";
    case ENOBUFS:
    case ENOMEM:
        return "the kernel has no memory to accept a connection; lower the limit of connections";
    default:
        return nullptr;
    }
}

}  // namespace

serve_core::serve_core(io::tcp_listener const& listener, io::serve_options const& options)
    : listener_(&listener),
      idle_timeout_(options.idle_timeout),
      drain_(options.drain),
      limit_(static_cast<std::ptrdiff_t>(std::min(options.limit, static_cast<std::size_t>(semaphore::max())))),
      acceptors_(options.acceptors != 0 ? options.acceptors : worker_count()),
      spread_(options.spread),
      places_(limit_) {
    if (limit_ == 0) {
        throw std::invalid_argument("serve() needs a limit of at least one connection");
    }
}

serve_core::~serve_core() {
    MAGPIE_ASSERT(children_.empty());
}

task<std::optional<io::tcp_stream>> serve_core::next() {
    permit place = places_.try_acquire();
    if (!place) {
        watch_listener();
        place = co_await places_.acquire();
    }
    for (;;) {
        auto stream = co_await listener_->accept();
        if (stream) {
            said_why_.store(false, mo_relaxed);
            place.forget();  // child_ended() gives it back
            stream->set_wait_limit(idle_timeout_);
            co_return std::optional(std::move(*stream));
        }
        if (stream.error() == std::errc::invalid_argument) {
            co_return std::nullopt;
        }
        if (!co_await passes(stream.error())) {
            throw std::system_error(stream.error(), "accept");
        }
    }
}

// Once for all acceptors, and only if the limit was ever reached.
void serve_core::watch_listener() noexcept {
    if (watching_.exchange(true, mo_relaxed)) {
        return;
    }
    try {
        watch_.emplace(spawn(wait_for_shutdown(), {.name = "listener's shutdown"}));
    } catch (usage_error const&) {
        // The runtime shuts down: the acceptors are about to be cancelled.
    } catch (std::bad_alloc const&) {
        watching_.store(false, mo_relaxed);  // the next one tries again
    }
}

// A poll that asks for nothing is told of the end, and of no connection.
task<> serve_core::wait_for_shutdown() {
    int const socket = listener_->descriptor();
    for (;;) {
        (void)co_await io::op({.code = io::opcode::poll_add, .fd = socket});
        int listens = 0;
        socklen_t size = sizeof listens;
        if (::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0) {
            std::lock_guard const guard(mutex_);
            if (!draining_) {
                places_.resize(std::min(limit_ + static_cast<std::ptrdiff_t>(acceptors_), semaphore::max()));
            }
            co_return;
        }
        co_await sleep(pause_when_short);  // the poll failed, or ended for another reason
    }
}

void serve_core::stop_watching() noexcept {
    {
        std::lock_guard const guard(mutex_);
        draining_ = true;
        places_.resize(limit_);
    }
    if (watch_) {
        watch_->cancel();
    }
}

task<> serve_core::watch_ended() {
    if (watch_) {
        try {
            co_await std::move(*watch_);
        } catch (child_cancelled const&) {}
        watch_.reset();
    }
}

task<bool> serve_core::passes(std::error_code error) {
    char const* const why = shortage(error.value());
    if (why == nullptr) {
        co_return is_of_the_connection(error.value());
    }
    if (!said_why_.exchange(true, mo_relaxed)) {
        report(std::make_exception_ptr(std::system_error(error, why)));
    }
    // Trying again at once would find the same, as often as the machine can.
    co_await sleep(pause_when_short);
    co_return true;
}

void serve_core::report(std::exception_ptr error) noexcept {
    report_unhandled(current_context(), std::move(error), "serving a connection");
}

void serve_core::begin(task<> connection) {
    try {
        auto* const child = new spawned<void>(std::move(connection));
        child->owner = this;
        child->make_first_handle();
        // The child may end before start() returns; child_ended() then waits until it is in the list.
        std::lock_guard const guard(mutex_);
        scheduler& shared = required_scheduler("serve");
        if (spread_) {
            start_on_lightest(shared, *child, {.name = "connection"});
        } else {
            start(shared, *child, {.name = "connection"});
        }
        children_.push_back(child);
        return;
    } catch (usage_error const&) {
        // The runtime shuts down and takes no more tasks: this one is about to be cancelled, too.
    } catch (std::bad_alloc const&) {
        report(std::current_exception());
    }
    places_.release();
}

void serve_core::child_ended(spawned_base& child) noexcept {
    {
        std::lock_guard const guard(mutex_);
        children_.erase(&child);
    }
    child.release_handle();
    places_.release();  // last: whoever drains may go on, and all this be gone
}

void serve_core::cancel_children() noexcept {
    std::lock_guard const guard(mutex_);
    for (spawned_base* each = children_.front(); each != nullptr; each = children_.next(each)) {
        each->request_cancel(request_origin::external);
    }
}

task<> serve_core::drain() {
    co_await shielded(wait_for_the_end());
}

// The watch last: its poll ends on the worker that began it, which may be stuck, and no connection is to wait for that.
task<> serve_core::wait_for_the_end() {
    stop_watching();
    co_await connections_ended();
    co_await watch_ended();
}

task<> serve_core::connections_ended() {
    try {
        permit const all = co_await timeout(drain_, places_.acquire(limit_));
        co_return;
    } catch (timeout_error const&) {}
    cancel_children();
    permit const all = co_await places_.acquire(limit_);
}

}  // namespace magpie::detail
