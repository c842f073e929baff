#include <magpie/io/detail/op_base.hpp>
#include <magpie/io/detail/op_deadline.hpp>

#include <new>

namespace magpie::detail {

void op_deadline::arm_for(op_base& op) noexcept {
    time_point const now = magpie::now();
    op_ = &op;
    state_.store(state::armed, mo_relaxed);
    try {
        arm(*this, limit_ < time_point::max() - now ? now + limit_ : time_point::max());
    } catch (std::bad_alloc const&) {
        expired();
    }
}

bool op_deadline::stop() noexcept {
    if (state_.load(mo_relaxed) == state::idle) {
        return false;
    }
    if (disarm(*this)) {
        state_.store(state::idle, mo_relaxed);
        return false;
    }
    // Another worker is in expired(), or has been: it takes a few loads and stores from there to the end.
    while (state_.load(mo_acquire) != state::over) {  // pairs with the release in expired()
        cpu_relax();
    }
    state_.store(state::idle, mo_relaxed);
    return true;
}

void op_deadline::expired() noexcept {
    op_->give_up();
    state_.store(state::over, mo_release);  // pairs with the acquire in stop()
}

}  // namespace magpie::detail
