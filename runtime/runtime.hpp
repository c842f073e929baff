#pragma once

#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/task_info.hpp>

#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

namespace detail {
struct run_access;
}

// How a shutdown went. True in bool context if every task ended in time.
struct shutdown_report {
    std::vector<task_info> survivors{};  // those that had not ended when the grace was over
    explicit operator bool() const noexcept { return survivors.empty(); }
};

// What a reload did.
struct reload_report {
    std::vector<std::string> limits{};         // names of the limits that have new values, or are new
    std::vector<std::string> needs_restart{};  // keys whose new values wait for the next start: "runtime.workers"
};

// Worker threads with their event loops, and the tasks they run. Made and destroyed by an ordinary thread. All members
// but the constructor and destructor may be called from any thread.
class runtime {
public:
    // Starts the workers. Throws config_error for a config that cannot be used, std::system_error when the system
    // refuses threads or (with backend = "io_uring") a ring; nothing is left running then.
    explicit runtime(config settings = config::defaults());
    runtime(runtime const&) = delete;
    runtime& operator=(runtime const&) = delete;
    // Cancels every task and waits until all have ended, naming who hangs once a second on stderr. Under the simulated
    // clock a task that can never end is named once and left behind.
    ~runtime();

    // Runs an awaitable as a task and blocks until it has ended; gives its value or rethrows. From an ordinary thread,
    // as often as you like; on a worker it throws usage_error. A main task that was cancelled throws child_cancelled.
    // Under the simulated clock the calling thread runs the tasks, and a program that can never go on throws
    // deadlock_error.
    template <class A>
        requires awaitable<std::remove_cvref_t<A>>
    await_result_t<std::remove_cvref_t<A>> block_on(A&& a, spawn_options options = {.name = "main"}) {
        return block_on_task(detail::as_task(std::forward<A>(a)), options, signals::leave);
    }

    // As magpie::spawn(), from any thread.
    template <class A>
        requires awaitable<std::remove_cvref_t<A>>
    [[nodiscard]] auto spawn(A&& a, spawn_options options = {}) {
        return detail::spawn_in(shared(), detail::as_task(std::forward<A>(a)), options);
    }
    template <class Fn>
        requires detail::task_function<std::decay_t<Fn>>
    [[nodiscard]] auto spawn(Fn&& fn, spawn_options options = {}) {
        return detail::spawn_in(shared(), detail::as_task_of(std::forward<Fn>(fn)), options);
    }
    template <class Fn, class... Args>
        requires detail::task_function<std::decay_t<Fn>, std::decay_t<Args>...>
    [[nodiscard]] auto spawn(spawn_options options, Fn&& fn, Args&&... args) {
        return detail::spawn_in(shared(), detail::as_task_of(std::forward<Fn>(fn), std::forward<Args>(args)...), options);
    }
    template <class Fn, class First, class... Rest>
        requires detail::task_function<std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>
    [[nodiscard]] auto spawn(Fn&& fn, First&& first, Rest&&... rest) {
        return spawn(spawn_options{.where = {}}, std::forward<Fn>(fn), std::forward<First>(first),
                     std::forward<Rest>(rest)...);
    }

    // Runs fn once on some worker, after what was posted before by the same thread has begun. What it throws goes to
    // on_unhandled. Throws usage_error after shutdown.
    void post(std::move_only_function<void()> fn);

    // Refuses new tasks, cancels all, and waits up to `grace` for their ends. Who did not end is in the report and goes
    // on; the destructor waits for them. Afterwards spawn() throws usage_error. From an ordinary thread.
    shutdown_report shutdown(duration grace);

    unsigned workers() const noexcept;
    metrics snapshot() const;
    // All spawned tasks that have not ended.
    std::vector<task_info> tasks();
    // As it was given; what a reload changed is not in it.
    config const& settings() const noexcept;

    // Reads the config's file and the environment again, while everything runs on. What code had set after loading stays.
    // limits["..."] have their new values at once (limiter::configure() says how); one that the file does not name any
    // more keeps its last values, for somebody may be using it. All other keys are for the next start, and only reported.
    // Throws config_error and changes nothing if the file cannot be read or has a mistake; usage_error if the settings
    // came from no file. Any thread; it blocks while it reads.
    reload_report reload();
    // The same with settings from anywhere.
    reload_report reload(config const& fresh);
    // With settings.drive = external the runtime has no thread: it lives in somebody else's event loop. driver_fd() is
    // readable when there is work or a timer is due; run_ready() then runs up to `budget` turns on the calling thread,
    // never sleeps, and returns how many there were. One thread at a time (another one waits). block_on() drives the
    // runtime itself. Both throw usage_error with any other drive.
    int driver_fd() const;
    std::size_t run_ready(std::size_t budget = 1024);

    // Of worker 0's event loop: "io_uring", "poll" or "simulated".
    char const* backend() const noexcept;

private:
    enum class signals : bool { leave, handle };
    friend struct detail::run_access;

    detail::scheduler& shared() const noexcept { return *shared_; }
    reload_report apply(config const& fresh);
    // The calling thread's wait for a main task. Made before the task starts, so that no SIGINT finds nobody listening.
    class main_wait {
    public:
        explicit main_wait(signals policy);
        main_wait(main_wait const&) = delete;
        main_wait& operator=(main_wait const&) = delete;
        ~main_wait();
        void until_end_of(detail::spawned_base& task, detail::scheduler& shared);

    private:
        struct state;
        std::unique_ptr<state> state_;
    };

    template <class T>
    T block_on_task(task<T> body, spawn_options options, signals policy) {
        refuse_on_worker();
        main_wait wait(policy);
        detail::record_ptr<detail::spawned<T>> const main(&detail::start_task(shared(), std::move(body), options));
        wait.until_end_of(*main, shared());
        main->look();
        return std::move(main->result()).value();
    }
    static void refuse_on_worker();

    std::unique_ptr<detail::scheduler> shared_;
};

namespace detail {

struct run_access {
    template <class T>
    static T run(task<T> body, config settings, std::source_location where) {
        runtime::refuse_on_worker();
        runtime rt(std::move(settings));
        auto const policy = rt.settings().handle_sigint ? runtime::signals::handle : runtime::signals::leave;
        return rt.block_on_task(std::move(body), {.name = "main", .where = where}, policy);
    }
};

} // namespace detail

// Runs a program: makes a runtime, runs the awaitable as its main task, cancels and joins what is left, and gives the
// value or rethrows. SIGINT cancels the main task and run() throws interrupted if it ends by that; a second SIGINT
// kills. A handler that the program installed is never replaced, and settings.handle_sigint = false leaves signals
// alone. On a worker it throws usage_error. `where` is shown wherever the main task is named.
template <class A>
    requires awaitable<std::remove_cvref_t<A>>
await_result_t<std::remove_cvref_t<A>> run(A&& a, config settings = config::defaults(),
                                              std::source_location where = std::source_location::current()) {
    return detail::run_access::run(detail::as_task(std::forward<A>(a)), std::move(settings), where);
}

} // namespace magpie
