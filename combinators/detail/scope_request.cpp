#include <magpie/combinators/detail/scope_request.hpp>

namespace magpie::detail {

bool scope_request::take_back() noexcept {
    unsigned const left = task_.uncancel();
    if (left > baseline_) {
        return false;
    }
    // uncancel() withdraws an undelivered request only at zero. Above zero the flag can only be the scope's own if it was
    // not set at the entry. A request that comes in between is given its flag back.
    if (left != 0 && !pending_at_entry_ && task_.request_pending()) {
        task_.consume_request();
        if (task_.cancel_count() > left) {
            task_.rearm();
            return false;
        }
    }
    return true;
}

void leave_scope(task_context& task, open_scope& scope) noexcept {
    open_scope** link = &task.extras->scopes;
    while (*link != &scope) {  // the first one, unless scopes are left in another order than they nest
        link = &(*link)->outer;
    }
    *link = scope.outer;
}

}  // namespace magpie::detail
