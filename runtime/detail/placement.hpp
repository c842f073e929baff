#pragma once

// Which worker a task had better begin on, or go on on, if it is one of many that stay for long: a connection.
//
// Tasks that are ready are balanced by stealing. Those that wait are not: an operation completes on the loop where it
// was begun, and its task runs there next, unless a thief is quicker. So where a thousand connections first wait decides
// how their work is spread; that is what this is for.
//
// A worker's load is what is ready there and what waits there for I/O: it counts where a task is, not where it began, so
// that it stays true when tasks are stolen, rescued or moved. Timers and waits for other tasks are not in it.

#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/work_item.hpp>

#include <coroutine>

namespace magpie::detail {

class worker;

// How many workers the current runtime has; the spare one does not count. On a worker only.
unsigned worker_count() noexcept;

// False for a runtime with one worker, or without rescue: there, what was sent to a worker that computes would wait for
// it, and a task begins where it is spawned or is stolen, as others do.
bool places_tasks(scheduler const& shared) noexcept;

// The current worker; or, if it has clearly more to do, the one with the least of up to four others, from a random one
// on, that are not stuck in a task. Always the current one if the runtime does not place tasks. On a worker only.
worker& lightest_worker() noexcept;

// As start(), and the task begins on lightest_worker(). No thief takes it before that one has come to it: it would be
// the first that is idle, with however many connections. On a worker of `where` only.
void start_on_lightest(scheduler& where, spawned_base& task, spawn_options const& options);

// The task goes on on the worker with this number, modulo worker_count(). Not if it is pinned, nor if the runtime
// does not place tasks. A stuck worker's place is taken by who rescues it. Not a wait that can be cancelled: it does not last.
class move_to_worker final : public work_item {
public:
    explicit move_to_worker(unsigned index) noexcept : index_(index) {}
    move_to_worker(move_to_worker const&) = delete;
    move_to_worker& operator=(move_to_worker const&) = delete;

    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        handle = coroutine;
        context = coroutine.promise().context();
        return move();
    }
    void await_resume() const noexcept {}

private:
    bool move() noexcept;

    unsigned index_;
};

}  // namespace magpie::detail
