#include <magpie/io/loop/fill_entry.hpp>
#include <magpie/io/loop/uring_loop.hpp>
#include <magpie/runtime/detail/assert.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include <errno.h>

namespace magpie::detail {

namespace {

constexpr unsigned reap_at_most = 64;  // entries under one hold of the reap lock
constexpr std::uint16_t buffer_group = 0;

op_base& op_of(completion& c) noexcept {
    return static_cast<op_base&>(c);
}

// Of the queue's places, some are kept for cancellations, and one for the read of the eventfd. A message may overflow.
std::uint64_t limit_of_ops(unsigned cq_entries) noexcept {
    return cq_entries - std::clamp(cq_entries / 8, 2U, 64U);
}

}  // namespace

uring_loop::uring_loop(io_config const& settings)
    : event_loop(settings.buffer_ring),
      ring_(settings.ring_entries, settings.cq_entries, settings.sqpoll),
      op_limit_(limit_of_ops(ring_.cq_entries())),
      cancel_limit_(ring_.cq_entries() - 1) {
    if (ring::send_message(ring_.descriptor()) == 0) {
        wakeup_.use_ring(ring_.descriptor());
        (void)reap_all();
    }
}

// No task of this loop is left, so all that the kernel may still write to is the eventfd's count.
uring_loop::~uring_loop() {
    MAGPIE_ASSERT(in_flight() <= (retired_ ? 1 : 0));  // the entry of retire()'s cancellation
    if (wake_read_.armed()) {
        cancel_wake_read();
    }
    while (promised() != 0) {
        enter(1, nullptr);
        (void)reap_all();
    }
}

// ---------------------------------------------------------------------------------------------- submission

// The owner never waits for room in the submission queue: the kernel takes all of it with one call.
io_uring_sqe* uring_loop::next_entry() noexcept {
    io_uring_sqe* entry = ring_.next_entry();
    if (entry == nullptr) {
        enter(0, nullptr);
        entry = ring_.next_entry();
    }
    return entry;
}

void uring_loop::publish() noexcept {
    begun_.store(begun_.load(mo_relaxed) + 1, mo_relaxed);  // before others can see its completion
    ring_.publish();
}

bool uring_loop::start(op_base& op) noexcept {
    if (!op.suspend_task()) {
        return false;
    }
    if (op.wants_buffer() && has_starved()) [[unlikely]] {
        post_starved(op);  // behind those that have found none: else who always finds one would take all
    } else {
        restart(op);
    }
    return true;
}

void uring_loop::restart(op_base& op) noexcept {
    if (op.wants_buffer() && !choose_buffer(op)) {
        return;
    }
    if (queued_.empty() && try_start(op, op_limit_)) {
        return;
    }
    op.set_place(op_base::place::queued);
    queued_.push_back(&op);
    ops_queued_.store(true, mo_relaxed);
    without_room_.store(without_room_.load(mo_relaxed) + 1, mo_relaxed);
}

// False: the op cannot start now, and has been taken care of.
bool uring_loop::choose_buffer(op_base& op) noexcept {
    buffer_pool* const pool = required_buffers();
    if (pool == nullptr) {
        op.finish(-ENOMEM);
        return false;
    }
    if (pool->kernel_chooses()) {
        return true;
    }
    auto const id = pool->take();
    if (!id) {
        wait_for_buffer(op);
        return false;
    }
    op.hold_buffer(*id);
    io::request& r = op.request();
    r.entry_flags = static_cast<std::uint8_t>(r.entry_flags & ~io::entry_buffer_select);
    r.address = reinterpret_cast<std::uintptr_t>(pool->at(*id).data());
    r.length = static_cast<std::uint32_t>(pool->size());
    return true;
}

bool uring_loop::try_start(op_base& op, std::uint64_t limit) noexcept {
    if (promised() >= limit) {
        return false;
    }
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) {
        return false;
    }
    fill_entry(*entry, op.request(), tag_of(op, op_base::own_channel));
    op.set_place(op_base::place::kernel);
    op.publish();
    publish();
    return true;
}

// True: something waits for room, and no operation has ended for so long that it may be the one that they wait for.
bool uring_loop::nothing_ends(bool idle) noexcept {
    constexpr unsigned looks_while_busy = 16;
    if (queued_.empty() && queued_cancels_.empty()) {
        looks_in_vain_ = 0;
        return false;
    }
    std::uint64_t const reaped = reaped_.load(mo_relaxed);
    looks_in_vain_ = std::exchange(reaped_at_look_, reaped) == reaped ? looks_in_vain_ + 1 : 0;
    return (idle && !ring_.has_completions()) || looks_in_vain_ >= looks_while_busy;
}

void uring_loop::start_queued(bool idle) noexcept {
    bool const all = nothing_ends(idle);
    constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t const for_cancels = all ? no_limit : cancel_limit_;
    std::uint64_t const for_ops = all ? no_limit : op_limit_;
    while (work_item* const first = queued_cancels_.pop_front()) {
        // Off the list before: once it is published, who takes over from a stuck owner may reap it, and the op be gone.
        if (!try_cancel(static_cast<op_base&>(*first), for_cancels)) {
            queued_cancels_.push_front(first);
            break;
        }
    }
    cancels_queued_.store(!queued_cancels_.empty(), mo_relaxed);
    while (completion* const first = queued_.front()) {
        op_base& op = op_of(*first);
        if (promised() >= for_ops) {
            break;
        }
        queued_.erase(first);
        if (!try_start(op, for_ops)) {
            queued_.push_front(first);
            op.set_place(op_base::place::queued);
            break;
        }
    }
    ops_queued_.store(!queued_.empty(), mo_relaxed);
}

void uring_loop::enter(unsigned wait, timespec const* timeout) noexcept {
    int const taken = ring_.enter(ring_.unsubmitted(), wait, timeout, ring_.must_enter());
    // Fewer than asked, interrupted, timed out, no memory just now, or completions to be taken in first: the caller's
    // next round does the rest. Anything else means that the ring itself is broken, and no task could ever go on.
    if (taken < 0 && taken != -EINTR && taken != -ETIME && taken != -EAGAIN && taken != -EBUSY && taken != -ENOMEM) {
        // EBADR is one of these: the kernel had no memory to keep a completion for which the queue had no place.
        std::fprintf(stderr, "magpie: io_uring_enter failed: %s\n",
                     taken == -EBADR ? "the kernel ran out of memory and lost a completion; a larger io.cq_entries "
                                       "needs less of it"
                                     : std::strerror(-taken));
        std::abort();
    }
}

// ---------------------------------------------------------------------------------------------- cancellation

void uring_loop::unlink(op_base& op) noexcept {
    queued_.erase(&op);
    ops_queued_.store(!queued_.empty(), mo_relaxed);
}

void uring_loop::cancel_in_kernel(op_base& op) noexcept {
    if (!queued_cancels_.empty() || !try_cancel(op, cancel_limit_)) {
        queued_cancels_.push_back(&op);
        cancels_queued_.store(true, mo_relaxed);
    }
}

// Entries are taken in order, so that the kernel knows the operation by the time it comes to this one.
bool uring_loop::try_cancel(op_base& op, std::uint64_t limit) noexcept {
    if (promised() >= limit) {
        return false;
    }
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) {
        return false;
    }
    io::request r{.code = io::opcode{IORING_OP_ASYNC_CANCEL}};
    r.address = tag_of(op, op_base::own_channel);
    fill_entry(*entry, r, tag_of(op, op_base::cancel_channel));
    op.publish();
    publish();
    return true;
}

// ---------------------------------------------------------------------------------------------- completion

void uring_loop::poll() {
    begin_poll();
    take_in_messages();
    start_queued(false);
    if (ring_.unsubmitted() != 0 || ring_.must_enter()) {
        enter(0, nullptr);
    }
    (void)reap_all();
    end_poll();
}

void uring_loop::park(time_point deadline) {
    begin_poll();
    parking_.store(true, mo_relaxed);
    full_fence();                                   // pairs with the one in reap_all(): one of the two sees the other
    bool const alone = !reaping_.load(mo_acquire);  // pairs with the release in reap_all(): the head as that left it
    take_in_messages();
    start_queued(true);
    if (!wakeup_.prepare_sleep()) {
        parking_.store(false, mo_relaxed);
        poll();
        return;
    }
    // The one more look of wakeup.hpp: a buffer may have come back without a notification.
    unsigned const wait = arm_wake_read() && alone && !has_messages() ? 1 : 0;
    if (deadline == time_point::max()) {
        enter(wait, nullptr);
    } else {
        auto const left = std::max(duration{}, duration(deadline - std::chrono::steady_clock::now()));
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        timespec const limit{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
        enter(left > duration{} ? wait : 0, &limit);
    }
    wakeup_.end_sleep();
    parking_.store(false, mo_relaxed);
    (void)reap_all();
    end_poll();
}

bool uring_loop::has_work() const noexcept {
    return ring_.has_completions() || ring_.unsubmitted() != 0 || ring_.must_enter() || has_messages() ||
           (ops_queued_.load(mo_relaxed) && promised() < op_limit_) ||
           (cancels_queued_.load(mo_relaxed) && promised() < cancel_limit_);
}

std::size_t uring_loop::in_flight() const noexcept {
    std::uint64_t const own = wake_read_.armed() ? 1 : 0;
    return static_cast<std::size_t>(std::max(promised(), own) - own);
}

std::size_t uring_loop::reap() noexcept {
    return parking_.load(mo_relaxed) ? 0 : reap_all();
}

std::size_t uring_loop::reap_all() noexcept {
    std::size_t total = 0;
    unsigned taken = 0;
    do {
        if (!ring_.has_completions() || reaping_.exchange(true, mo_acquire)) {  // pairs with the release below
            break;
        }
        full_fence();  // pairs with the one in park()
        completion_list done;
        taken = parking_.load(mo_relaxed) ? 0 : reap_batch(done);
        reaping_.store(false, mo_release);  // pairs with the acquires
        total += taken;
        while (completion* const c = done.pop_front()) {
            c->completed();
        }
    } while (taken == reap_at_most);
    return total;
}

unsigned uring_loop::reap_batch(completion_list& done) noexcept {
    unsigned const there = std::min(ring_.completions(), reap_at_most);
    std::uint64_t ended = 0;
    std::uint64_t operations = 0;
    for (unsigned i = 0; i < there; ++i) {
        io_uring_cqe const& entry = ring_.completion(i);
        if (entry.user_data == ring::message_tag) {
            continue;  // it has done its work by coming
        }
        bool const terminal = (entry.flags & IORING_CQE_F_MORE) == 0;
        ended += terminal ? 1 : 0;
        auto const channel = static_cast<unsigned>(entry.user_data % completion::channels);
        auto* const c = reinterpret_cast<completion*>(static_cast<std::uintptr_t>(entry.user_data - channel));
        if (c == nullptr) {
            continue;
        }
        tsan_acquire(c);  // pairs with the release in op_base::publish(), through the kernel
        if ((entry.flags & IORING_CQE_F_BUFFER) != 0) {
            buffers()->note_taken();
        }
        operations += terminal && channel == op_base::own_channel && c != &wake_read_ ? 1 : 0;
        if (c->reaped(channel, entry.res, entry.flags)) {
            done.push_back(c);
        }
    }
    ring_.consume(there);
    reaped_.store(reaped_.load(mo_relaxed) + ended, mo_relaxed);
    completions_.store(completions_.load(mo_relaxed) + operations, mo_relaxed);
    return there;
}

// ---------------------------------------------------------------------------------------------- wake-up, buffers

// False: the kernel has no memory for it just now, and the loop must not sleep.
bool uring_loop::arm_wake_read() noexcept {
    if (wake_read_.armed()) {
        return true;
    }
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) {
        return false;
    }
    io::request r{.code = io::opcode::read, .fd = wakeup_.descriptor()};
    r.address = reinterpret_cast<std::uintptr_t>(&wake_read_.value);
    r.length = sizeof wake_read_.value;
    fill_entry(*entry, r, tag_of(wake_read_, op_base::own_channel));
    wake_read_.arm();
    tsan_release(static_cast<completion*>(&wake_read_));
    publish();
    return true;
}

void uring_loop::listen_for_notifications() noexcept {
    if (!wake_read_.armed() && arm_wake_read()) {
        enter(0, nullptr);
    }
}

void uring_loop::cancel_wake_read() noexcept {
    if (io_uring_sqe* const entry = next_entry()) {
        io::request r{.code = io::opcode{IORING_OP_ASYNC_CANCEL}};
        r.address = tag_of(wake_read_, op_base::own_channel);
        fill_entry(*entry, r, 0);
        publish();
    }
}

// Without waiting: another thread may take the completions in. What is not over then (a kernel's thread that submits takes
// its time) is left to the destructor.
void uring_loop::retire() noexcept {
    begin_poll();
    if (wake_read_.armed()) {
        retired_ = true;
        cancel_wake_read();
        enter(0, nullptr);
        (void)reap_all();
    }
    end_poll();
}

buffer_pool_ptr uring_loop::make_buffers(buffer_ring_config const& sizes) {
    buffer_pool_ptr pool(new buffer_pool(sizes, wakeup_));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(pool->ring_memory());
    registration.ring_entries = sizes.count;
    registration.bgid = buffer_group;
    // Refused before 5.19: then this loop chooses the buffers.
    if (io_uring_register(static_cast<unsigned>(ring_.descriptor()), IORING_REGISTER_PBUF_RING, &registration, 1) ==
        0) {
        pool->let_kernel_choose();
    }
    return pool;
}

}  // namespace magpie::detail
