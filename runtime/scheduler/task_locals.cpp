#include <magpie/runtime/detail/task_locals.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>

namespace magpie::detail {

std::uint64_t next_local_key() noexcept {
    constinit static atomic<std::uint64_t> last{0};
    return last.fetch_add(1, mo_relaxed) + 1;
}

local_value const* find_local(std::uint64_t key) noexcept {
    local_values const* const seen = current_locals();
    return seen == nullptr ? nullptr : seen->find(key);
}

void set_local(std::uint64_t key, std::shared_ptr<local_value const> value) {
    task_context* const task = current_context();
    if (task == nullptr) {
        throw usage_error("a task_local can be set only by a task");
    }
    std::shared_ptr<local_value const> replaced;  // dies at the end, when the task's variables are in order
    local_values* const before = task->locals;
    if (before != nullptr && task->owns_locals && before->unshared()) {
        replaced = before->put(key, std::move(value));
        return;
    }
    auto fresh = std::unique_ptr<local_values>(before == nullptr ? new local_values : local_values::copy_of(*before));
    replaced = fresh->put(key, std::move(value));
    task->locals = fresh.release();
    task->has_more = true;
    if (std::exchange(task->owns_locals, true)) {
        before->release();
    }
}

locals_scope::locals_scope(local_values* values) noexcept : task_(current_context()) {
    if (task_ != nullptr) {
        before_ = std::exchange(task_->locals, values);
        owned_ = std::exchange(task_->owns_locals, false);
    }
}

locals_scope::~locals_scope() {
    if (task_ == nullptr) {
        return;
    }
    local_values* const values = std::exchange(task_->locals, before_);
    if (std::exchange(task_->owns_locals, owned_)) {
        values->release();
    }
}

} // namespace magpie::detail
