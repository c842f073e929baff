#pragma once

#include <magpie/io/detail/completed.hpp>
#include <magpie/io/detail/op_base.hpp>
#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/io/detail/request.hpp>
#include <magpie/io/fd.hpp>
#include <magpie/io/result.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace magpie::io {

// A Map turns the end of an operation into what `co_await` gives: it is called with a completed. It may hold what the
// operation points at, and then has
//     int prepare(request&) noexcept;
// which is called once, when the map has reached its final address and the operation is about to start; anything but 0
// is the errno with which the operation fails without being started.

struct as_count {
    result<std::size_t> operator()(completed const& end) const {
        if (end.result < 0) {
            return failure(-end.result);
        }
        return static_cast<std::size_t>(end.result);
    }
};

struct as_void {
    result<> operator()(completed const& end) const {
        if (end.result < 0) {
            return failure(-end.result);
        }
        return {};
    }
};

struct as_descriptor {
    result<fd> operator()(completed const& end) const {
        if (end.result < 0) {
            return failure(-end.result);
        }
        return fd(end.result);
    }
};

struct as_completion {
    completed operator()(completed const& end) const noexcept { return end; }
};

}  // namespace magpie::io

namespace magpie::detail {

template <class Map>
class op_awaiter : public op_base {
public:
    op_awaiter(io::request const& what, Map&& map, op_deadline* deadline = nullptr)
        : op_base(what, deadline), map_(std::move(map)) {}

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        if constexpr (requires { map_.prepare(request()); }) {
            if (int const error = map_.prepare(request()); error != 0) {
                finish_early(-error);
                return false;
            }
        }
        return begin();
    }
    auto await_resume() {
        settle();
        return map_(end());
    }

private:
    Map map_;
};

// The same with a deadline.
template <class Map>
class timed_op_awaiter final : public op_awaiter<Map> {
public:
    timed_op_awaiter(io::request const& what, Map&& map, duration limit)
        : op_awaiter<Map>(what, std::move(map), &deadline_), deadline_(limit) {}

private:
    op_deadline deadline_;
};

}  // namespace magpie::detail

namespace magpie::io {

// One operation of the kernel, awaited: `co_await io::op({.code = opcode::fsync, .fd = f})` gives a result. Every
// function of this library that does I/O is one expression of this kind.
//
// It starts when it is awaited, on the event loop of the worker that runs the task then, allocates nothing, and resumes
// the task when the kernel has let go of everything the request names: that must stay valid until co_await returns,
// cancelled or not. Operations with one completion only: no multishot flags.
//
// Cancelling the task asks the kernel to cancel the operation. If it does, the task is resumed with task_cancelled; if
// the operation completed all the same, its result is delivered and the request stays pending.
//
// A receive, send, accept, read, write or poll_add that the kernel interrupts although nobody asked for it (EINTR, as when
// the system was suspended) has done nothing, and is begun again; interrupted comes only if that happens more than 100
// times. Other operations may have done something by then: what that was is not known, and they give interrupted at once.
//
// Errors are the kernel's; operation_not_supported under the simulated clock and for what the poll backend cannot do.
// On the poll backend, what is not a socket or a pipe blocks the worker meanwhile.
template <std::move_constructible Map = as_count>
class [[nodiscard("co_await it")]] op {
public:
    explicit op(request const& what, Map map = Map()) : request_(what), map_(std::move(map)) {}

    detail::op_awaiter<Map> operator co_await() && { return {request_, std::move(map_)}; }

private:
    request request_;
    Map map_;
};

// The same with a limit to how long it may wait: then it is cancelled, and gives timed_out (or what it completed with all
// the same). Zero or less: no limit. A limit costs a timer, but only if the operation waits.
template <std::move_constructible Map = as_count>
class [[nodiscard("co_await it")]] timed_op {
public:
    explicit timed_op(request const& what, duration limit, Map map = Map())
        : request_(what), limit_(limit), map_(std::move(map)) {}

    detail::timed_op_awaiter<Map> operator co_await() && { return {request_, std::move(map_), limit_}; }

private:
    request request_;
    duration limit_;
    Map map_;
};

}  // namespace magpie::io
