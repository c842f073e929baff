#include <magpie/runtime/detail/task_extras.hpp>

#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

namespace magpie::detail {

task_extras& extras_of(task_context& context) {
    if (context.extras == nullptr) {
        context.extras = new task_extras;
        context.has_more = true;
    }
    return *context.extras;
}

std::uint64_t id_of(task_context& context) {
    if (context.is_spawned) {
        return static_cast<spawned_base&>(context).id;
    }
    task_extras& extras = extras_of(context);
    if (extras.id == 0) {
        extras.id = context.home->shared().next_id();
    }
    return extras.id;
}

std::string name_of(task_context& context) {
    if (context.is_spawned) {
        auto const& task = static_cast<spawned_base const&>(context);
        return task.name == nullptr ? "task " + std::to_string(task.id) : *task.name;
    }
    return "task " + std::to_string(id_of(context));
}

} // namespace magpie::detail
