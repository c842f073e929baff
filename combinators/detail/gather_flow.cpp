#include <magpie/combinators/detail/gather_flow.hpp>

namespace magpie::detail {

gather_flow_base::gather_flow_base(task_context& parent, bool cancel_rest) noexcept
    : gather_join(cancel_rest), forks_(*this) {
    context = &parent;
}

gather_flow_base::~gather_flow_base() {
    while (parts_ != nullptr) {  // one by one: their chain may be long
        parts_ = std::move(parts_->next_of_all);
    }
}

bool gather_flow_base::stopping() noexcept {
    if (context->shield_depth == 0 && context->request_pending()) {
        stopped_ = true;
    }
    return stopped_ || asked();
}

gather_flow_base::part* gather_flow_base::take_empty() noexcept {
    auto* const ended = static_cast<part*>(forks_.take_ended());
    if (ended == nullptr) {
        return nullptr;
    }
    {
        std::lock_guard const lock(parts_lock_);
        ended->listed = 0;
    }
    ended->empty();
    return ended;
}

void gather_flow_base::add_part(std::unique_ptr<part> one) noexcept {
    std::lock_guard const lock(parts_lock_);
    one->next_of_all = std::move(parts_);
    parts_ = std::move(one);
}

bool gather_flow_base::list(part& filled) noexcept {
    std::lock_guard const lock(parts_lock_);
    if (asked()) {
        return false;
    }
    filled.listed = filled.size();
    return true;
}

// A child's try_cancel() runs under the lock: code of this library, which queues tasks and resumes none. It may lead back
// here, to a request to our own task, if a child awaits that; but whoever walks has set winding_down_, or holds the task's
// waiter (task_context: cancelling), and either keeps the second request from coming as far as the lock.
bool gather_flow_base::request_all() noexcept {
    std::lock_guard const lock(parts_lock_);
    bool taken = false;
    for (part* each = parts_.get(); each != nullptr; each = each->next_of_all.get()) {
        taken |= each->request(each->listed);
    }
    return taken;
}

// The coroutine waits anew for each part, and a request stays pending: it is passed on once. Before the first one was, any
// request is a new one: the range's code may have taken old ones back (uncancel()), so the count alone tells nothing.
// Afterwards the range is not read any further.
bool gather_flow_base::cancel_children() noexcept {
    unsigned const count = context->cancel_count();
    if (std::exchange(requests_, count) == count) {
        return false;
    }
    return gather_join::cancel_children();
}

void gather_flow_base::check() {
    gather_join::check();
    if (stopped_) {
        deliver_cancellation(*context);
    }
}

}  // namespace magpie::detail
