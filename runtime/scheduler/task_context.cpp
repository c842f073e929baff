#include <magpie/runtime/detail/task_context.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/detail/task_locals.hpp>

#include <memory>
#include <utility>

namespace magpie::detail {

// A request on its way through a task, on the stack of the thread that makes it.
struct cancel_delivery {
    explicit cancel_delivery(task_context const& through) noexcept : task(through) { set_innermost_delivery(this); }
    cancel_delivery(cancel_delivery const&) = delete;
    cancel_delivery& operator=(cancel_delivery const&) = delete;
    ~cancel_delivery() { set_innermost_delivery(outer); }

    // It came back to a task that it had come through, and the circle is not broken yet. Who cannot break it leaves that
    // to the next one outwards.
    bool circle_ends_here(waiter& where) noexcept {
        if (circle == nullptr) {
            return false;
        }
        cancel_delivery* const start = std::exchange(circle, nullptr);
        if (where.leave_circle()) {
            return true;
        }
        if (start != this) {
            outer->circle = start;
        }
        return false;
    }

    task_context const& task;
    cancel_delivery* const outer = innermost_delivery();
    cancel_delivery* circle = nullptr;  // where it began
};

namespace {

// True if the request that is about to be made of this task is one that has come through it.
bool came_back(task_context const& task) noexcept {
    cancel_delivery* const innermost = innermost_delivery();
    for (cancel_delivery* each = innermost; each != nullptr; each = each->outer) {
        if (&each->task == &task) {
            innermost->circle = each;
            return true;
        }
    }
    return false;
}

void tell_open_scopes(task_context const& context) noexcept {
    if (context.extras == nullptr) {
        return;
    }
    for (open_scope* scope = context.extras->scopes; scope != nullptr; scope = scope->outer) {
        scope->owner_cancelled();
    }
}

} // namespace

void task_context::free_more() noexcept {
    delete extras;
    if (std::exchange(owns_locals, false)) {
        std::exchange(locals, nullptr)->release();
    }
}

waiter* task_context::waiter_of(std::uint64_t word) noexcept {
    return reinterpret_cast<waiter*>(static_cast<std::uintptr_t>(word & waiter_mask));
}

std::uint64_t task_context::address_of(waiter& w) noexcept {
    auto const address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&w));
    MAGPIE_ASSERT((address & ~waiter_mask) == 0);
    return address;
}

std::uint64_t task_context::with_request(std::uint64_t word, request_origin origin) noexcept {
    if ((word & count_mask) != count_mask) {  // saturates: 32,767 requests are as good as more
        word += count_one;
    }
    word |= pending_bit;
    if (origin == request_origin::external) {
        word |= external_bit;
    }
    return word;
}

bool task_context::request_cancel(request_origin origin) noexcept {
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        if ((seen & finished_bit) != 0) {
            return false;
        }
        std::uint64_t next = with_request(seen, origin);
        waiter* const where = waiter_of(seen);
        bool const deliver = where != nullptr && (seen & cancelling_bit) == 0;
        if (where != nullptr && !deliver && came_back(*this)) [[unlikely]] {
            return true;
        }
        if (deliver) {
            next |= cancelling_bit;
        }
        inject_point();
        if (word_.compare_exchange_weak(seen, next, mo_acq_rel, mo_relaxed)) {
            if (deliver) {
                cancel_waiter(*where, next & count_mask);
            }
            return true;
        }
    }
}

// The word says `cancelling`, set by this thread when the count was `asked`: `where` stays alive until the bit is cleared
// here. Requests that come meanwhile leave their delivery to us.
void task_context::cancel_waiter(waiter& where, std::uint64_t asked) noexcept {
    bool taken = false;
    cancel_delivery through(*this);
    do {
        taken = where.try_cancel() || through.circle_ends_here(where);
        if (taken) {
            where.cancelled_ = true;
        }
    } while (!let_go(where, taken, asked));
}

// Clears `cancelling`, and queues the waiter if its wait is over. False, and the bit is kept: somebody has asked since.
bool task_context::let_go(waiter& where, bool taken, std::uint64_t& asked) noexcept {
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        bool const over = taken || (seen & done_bit) != 0;
        if (!over && (seen & count_mask) != asked) {
            asked = seen & count_mask;
            return false;
        }
        std::uint64_t next = seen & ~(cancelling_bit | done_bit);
        if (over) {
            next &= ~waiter_mask;
        }
        inject_point();
        if (word_.compare_exchange_weak(seen, next, mo_acq_rel, mo_relaxed)) {
            if (over) {
                schedule(where);
            }
            return true;
        }
    }
}

std::string task_context::describe_wait() {
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        waiter* const where = waiter_of(seen);
        if (where == nullptr || (seen & cancelling_bit) != 0) {
            return {};
        }
        if (word_.compare_exchange_weak(seen, seen | cancelling_bit, mo_acq_rel, mo_relaxed)) {
            std::string text;
            try {
                text = where->describe();
            } catch (...) {
                text.clear();  // no memory for the words; the waiter must be let go all the same
            }
            std::uint64_t asked = seen & count_mask;
            if (!let_go(*where, false, asked)) {
                cancel_waiter(*where, asked);
            }
            return text;
        }
    }
}

bool task_context::complete(waiter& where) noexcept {
    if (!where.published_) {
        return true;
    }
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        bool const canceller_inside = (seen & cancelling_bit) != 0;
        std::uint64_t const next = canceller_inside ? seen | done_bit : seen & ~waiter_mask;
        inject_point();
        if (word_.compare_exchange_weak(seen, next, mo_acq_rel, mo_relaxed)) {
            return !canceller_inside;
        }
    }
}

bool task_context::suspend(waiter& where) noexcept {
    if (shield_depth != 0) {
        return true;
    }
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        if ((seen & pending_bit) != 0) {
            return false;
        }
        where.published_ = true;
        inject_point();
        if (word_.compare_exchange_weak(seen, seen | address_of(where), mo_acq_rel, mo_relaxed)) {
            return true;
        }
        where.published_ = false;
    }
}

void task_context::suspend_forwarding(waiter& where) noexcept {
    if (shield_depth != 0) {
        return;
    }
    where.published_ = true;
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        bool const forward = (seen & pending_bit) != 0;
        std::uint64_t const next = seen | address_of(where) | (forward ? cancelling_bit : 0);
        inject_point();
        if (word_.compare_exchange_weak(seen, next, mo_acq_rel, mo_relaxed)) {
            if (forward) {
                cancel_waiter(where, next & count_mask);
            }
            return;
        }
    }
}

bool task_context::take_request() noexcept {
    if (!request_pending() || shield_depth != 0) {
        return false;
    }
    consume_request();
    return true;
}

void task_context::consume_request() noexcept {
    std::uint64_t const before = word_.fetch_and(~(pending_bit | external_bit), mo_acq_rel);
    if ((before & external_bit) != 0) {
        tell_open_scopes(*this);
    }
}

unsigned task_context::uncancel() noexcept {
    std::uint64_t seen = word_.load(mo_relaxed);
    for (;;) {
        if ((seen & count_mask) == 0) {
            return 0;
        }
        std::uint64_t next = seen - count_one;
        if ((next & count_mask) == 0) {
            next &= ~(pending_bit | external_bit);
        }
        inject_point();
        if (word_.compare_exchange_weak(seen, next, mo_acq_rel, mo_relaxed)) {
            return static_cast<unsigned>((next & count_mask) >> count_shift);
        }
    }
}

void task_context::rearm() noexcept {
    std::uint64_t seen = word_.load(mo_relaxed);
    while ((seen & count_mask) != 0 && (seen & pending_bit) == 0) {
        inject_point();
        if (word_.compare_exchange_weak(seen, seen | pending_bit, mo_acq_rel, mo_relaxed)) {
            return;
        }
    }
}

void waiter::wake() noexcept {
    if (context->complete(*this)) {
        schedule(*this);
    }
}

} // namespace magpie::detail
