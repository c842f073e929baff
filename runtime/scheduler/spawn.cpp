#include <magpie/runtime/detail/spawn.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/tell_hook.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <memory>
#include <string>
#include <utility>

namespace magpie::detail {

scheduler* current_scheduler() noexcept {
    worker* const here = current_worker();
    return here == nullptr ? nullptr : &here->shared();
}

scheduler& required_scheduler(char const* what) {
    scheduler* const shared = current_scheduler();
    if (shared == nullptr) {
        throw usage_error(std::string(what) +
                          "() was called outside a task; call it from one, or use the runtime's member of that name");
    }
    return *shared;
}

namespace {

// Makes it a task that is alive and not queued yet.
void admit_as(scheduler& where, spawned_base& task, spawn_options const& options, scheduler::admission kind,
              worker* home) {
    worker* const here = current_worker();
    task_context const* const spawner = here == nullptr ? nullptr : here->current();
    try {
        if (!options.name.empty()) {
            task.name = std::make_unique<std::string const>(options.name);
        }
        task.where = options.where;
        task.pinned = options.pinned;
        if (spawner != nullptr && kind == scheduler::admission::refusable) {
            share_locals(*spawner, task);
        }
        where.admit(task, kind, home);
    } catch (...) {
        task.abandon();
        throw;
    }
}

void start_as(scheduler& where, spawned_base& task, spawn_options const& options, scheduler::admission kind,
              worker* home) {
    admit_as(where, task, options, kind, home);
    worker* const here = current_worker();
    bool const may_run_here = here != nullptr && &here->shared() == &where && (!task.pinned || here == task.home);
    if (options.eager && may_run_here) {
        here->run_eagerly(task);
    } else {
        schedule(task);
    }
}

} // namespace

void start(scheduler& where, spawned_base& task, spawn_options const& options, worker* home) {
    start_as(where, task, options, scheduler::admission::refusable, home);
}

void start_on_lightest(scheduler& where, spawned_base& task, spawn_options const& options) {
    admit_as(where, task, options, scheduler::admission::refusable, nullptr);
    if (places_tasks(where)) {
        lightest_worker().place(task);
    } else {
        schedule(task);
    }
}

void spawn_internal(scheduler& where, task<> body) {
    auto* const record = new spawned<void>(std::move(body));
    start_as(where, *record, {.name = "callback"}, scheduler::admission::internal, nullptr);
}

void report_unhandled(task_context* task, std::exception_ptr error, std::string_view what) noexcept {
    if (scheduler* const shared = current_scheduler()) {
        shared->report(shared->settings().hooks.on_unhandled, task, std::move(error), what);
    } else {
        tell({}, {.error = std::move(error), .context = what});
    }
}

void report_suppressed(std::exception_ptr error, std::string_view what) noexcept {
    if (scheduler* const shared = current_scheduler()) {
        shared->report(shared->settings().hooks.on_suppressed, current_context(), std::move(error), what);
    } else {
        tell({}, {.error = std::move(error), .context = what});
    }
}

} // namespace magpie::detail
