#include <magpie/combinators/to_thread.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>

#include <mutex>
#include <utility>

namespace magpie::detail {

// ---------------------------------------------------------------------------------------------- waits on cancel

bool thread_waiter::submit() {
    scheduler& here = required_scheduler("to_thread");
    if (!context->suspend(*this)) {
        cancelled_ = true;
        return false;
    }
    try {
        submit_blocking(here, *this);
    } catch (...) {
        state_.store(state::dropped, mo_relaxed);  // before complete(): see below
        if (!context->complete(*this)) {
            return true;  // a canceller is inside and queues us: it is the cancellation that is delivered
        }
        throw;
    }
    return true;
}

void thread_waiter::run() noexcept {
    state expected = state::queued;
    inject_point();
    // Relaxed: the pool's queue has handed over the frame; the exchange only decides.
    if (state_.compare_exchange_strong(expected, state::running, mo_relaxed)) {
        foreign_locals_scope const as_task(context->locals);  // the task waits, and changes nothing
        call();
    }
    wake();
}

bool thread_waiter::try_cancel() noexcept {
    state expected = state::queued;
    inject_point();
    state_.compare_exchange_strong(expected, state::dropped, mo_relaxed);
    return false;  // the pool will end the wait
}

void thread_waiter::check() const {
    if (was_cancelled() || state_.load(mo_relaxed) == state::dropped) {
        deliver_cancellation(*context);
    }
}

// ---------------------------------------------------------------------------------------------- abandons

void abandoned_call::release() noexcept {
    // acq_rel: pairs with the other release; the last one sees all that was done to the block.
    if (references_.fetch_sub(1, mo_acq_rel) == 1) {
        delete this;
    }
}

void abandoned_call::run() noexcept {
    bool wanted = false;
    {
        std::lock_guard const lock(lock_);
        wanted = !abandoned_;
    }
    if (wanted) {
        foreign_locals_scope const as_task(locals_.get());
        call();
    }
    waiter* task = nullptr;
    bool left = false;
    {
        std::lock_guard const lock(lock_);
        task = std::exchange(waiting_, nullptr);
        left = abandoned_;
    }
    if (left) {
        clear();
    }
    if (task != nullptr) {
        task->wake();
    }
    release();
}

abandoning_waiter::~abandoning_waiter() {
    if (!submitted_) {
        block_->release();  // the pool's
    }
    block_->release();
}

bool abandoning_waiter::submit() {
    scheduler& here = required_scheduler("to_thread");
    abandoned_call& block = *block_;
    submitted_ = true;
    block.locals_ = local_values_ptr(context->locals);
    {
        std::lock_guard const lock(block.lock_);
        if (!context->suspend(*this)) {
            submitted_ = false;
            cancelled_ = true;
            return false;
        }
        block.waiting_ = this;
    }
    // From here on a canceller may resume the task, and this may be gone; the pool's reference keeps the block.
    try {
        submit_blocking(here, block);
    } catch (...) {
        if (!take_back(block)) {
            return true;
        }
        throw;
    }
    return true;
}

// The pool did not take the call. True: this waiter is not suspended any more. False: it was cancelled, or is being.
bool abandoning_waiter::take_back(abandoned_call& block) noexcept {
    waiter* left = nullptr;
    {
        std::lock_guard const lock(block.lock_);
        left = std::exchange(block.waiting_, nullptr);
    }
    if (left == nullptr) {
        block.release();  // the pool's
        return false;
    }
    submitted_ = false;  // before complete(): a canceller that is inside queues us
    refused_ = true;
    return context->complete(*this);
}

bool abandoning_waiter::try_cancel() noexcept {
    {
        std::lock_guard const lock(block_->lock_);
        if (block_->waiting_ != this) {
            return false;
        }
        block_->waiting_ = nullptr;
        block_->abandoned_ = true;
    }
    // The frame stays, and with it the block, until the canceller has left.
    block_->stop_.request_cancel(request_origin::external);
    return true;
}

void abandoning_waiter::check() const {
    if (was_cancelled() || refused_) {
        deliver_cancellation(*context);
    }
}

} // namespace magpie::detail
