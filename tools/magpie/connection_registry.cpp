#include "connection_registry.hpp"

#include <magpie/runtime/sleep.hpp>

#include <algorithm>

#include <sys/socket.h>

namespace magpie::tools {

namespace {

constexpr std::uint64_t pack(std::uint64_t tick, connection_phase phase) noexcept {
    return tick << 2 | static_cast<std::uint64_t>(phase);
}

constexpr connection_phase phase_of(std::uint64_t state) noexcept {
    return static_cast<connection_phase>(state & 3);
}

}  // namespace

connection_registry::entry::entry(connection_registry& registry, int descriptor)
    : registry_(registry), descriptor_(descriptor) {
    registry_.link(*this);
}

connection_registry::entry::~entry() {
    registry_.unlink(*this);
}

bool connection_registry::entry::enter(connection_phase phase) noexcept {
    std::uint64_t const state = pack(registry_.tick_.load(std::memory_order_relaxed), phase);
    if (phase != connection_phase::idle) {
        state_.store(state, std::memory_order_relaxed);
        return true;
    }
    // Here and in drain() each side writes, then reads what the other wrote. All four are sequentially consistent, so
    // that one of the two sees the other: this task does not wait, or drain() finds it waiting.
    state_.store(state, std::memory_order_seq_cst);
    return !registry_.draining_.load(std::memory_order_seq_cst);
}

task<> connection_registry::watch() {
    if (idle_timeout_ <= std::chrono::nanoseconds::zero()) {
        co_return;
    }
    auto const tick = std::max<std::chrono::nanoseconds>(idle_timeout_ / ticks_allowed, std::chrono::milliseconds(1));
    for (;;) {
        co_await sleep(tick);
        tick_.fetch_add(1, std::memory_order_relaxed);
        end_expired();
    }
}

void connection_registry::end_expired() {
    std::uint64_t const now = tick_.load(std::memory_order_relaxed);
    std::lock_guard const lock(mutex_);
    for (entry* each = first_; each != nullptr; each = each->next_) {
        std::uint64_t const state = each->state_.load(std::memory_order_relaxed);
        connection_phase const phase = phase_of(state);
        if (phase == connection_phase::working || now - (state >> 2) <= ticks_allowed) {
            continue;
        }
        each->timed_out_.store(true, std::memory_order_relaxed);
        // Who waits to read finds the end and can still answer; who waits to write has nobody to write to.
        ::shutdown(each->descriptor_, phase == connection_phase::sending ? SHUT_RDWR : SHUT_RD);
    }
}

void connection_registry::drain() {
    draining_.store(true, std::memory_order_seq_cst);  // see enter()
    std::lock_guard const lock(mutex_);
    for (entry* each = first_; each != nullptr; each = each->next_) {
        if (phase_of(each->state_.load(std::memory_order_seq_cst)) == connection_phase::idle) {
            ::shutdown(each->descriptor_, SHUT_RD);
        }
    }
}

std::size_t connection_registry::size() const {
    std::lock_guard const lock(mutex_);
    return size_;
}

std::size_t connection_registry::most() const {
    std::lock_guard const lock(mutex_);
    return most_;
}

void connection_registry::link(entry& added) {
    std::lock_guard const lock(mutex_);
    added.state_.store(pack(tick_.load(std::memory_order_relaxed), connection_phase::working),
                       std::memory_order_relaxed);
    added.next_ = first_;
    if (first_ != nullptr) {
        first_->previous_ = &added;
    }
    first_ = &added;
    most_ = std::max(most_, ++size_);
}

void connection_registry::unlink(entry& removed) {
    std::lock_guard const lock(mutex_);
    (removed.previous_ != nullptr ? removed.previous_->next_ : first_) = removed.next_;
    if (removed.next_ != nullptr) {
        removed.next_->previous_ = removed.previous_;
    }
    --size_;
}

}  // namespace magpie::tools
