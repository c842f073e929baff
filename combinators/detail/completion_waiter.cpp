// Who waits for the next task to end.

#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

#include <exception>
#include <mutex>
#include <utility>

namespace magpie::detail {

bool completion_waiter::await_ready() {
    core_.feed();
    core_.throw_source_error();
    {
        std::lock_guard const lock(core_.lock_);
        how_ = core_.take(node_);
    }
    yields_ = how_ != completion_core::status::none && budget_exhausted();
    return how_ != completion_core::status::none && !yields_;
}

bool completion_waiter::wait() noexcept {
    if (yields_) {
        {
            std::lock_guard const lock(core_.lock_);
            ++core_.resuming_;
            woken_ = true;
        }
        schedule_yield(*this);
        return true;
    }
    std::lock_guard const lock(core_.lock_);
    how_ = core_.take(node_);
    if (how_ != completion_core::status::none) {
        return false;
    }
    if (!context->suspend(*this)) {
        cancelled_ = true;
        return false;
    }
    core_.consumers_.push_back(this);
    return true;
}

bool completion_waiter::try_cancel() noexcept {
    std::lock_guard const lock(core_.lock_);
    if (!wait_list::linked(this)) {
        return false;
    }
    core_.consumers_.erase(this);
    return true;
}

completion_node* completion_waiter::check() {
    switch (status()) {
    case completion_core::status::cancelled:
        deliver_cancellation(*context);
    case completion_core::status::timed_out:
        throw timeout_error("the time for the whole stream is up");
    case completion_core::status::source_failed:
        std::rethrow_exception(std::move(error_));
    case completion_core::status::none:
    case completion_core::status::end:
        core_.throw_source_error();
        break;
    case completion_core::status::item:
        break;
    }
    return node_;
}

}  // namespace magpie::detail
