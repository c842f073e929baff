// The one file with a thread_local.

#include <magpie/runtime/detail/current.hpp>

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/detail/named_limits.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/thread_state.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>
#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define MAGPIE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAGPIE_ASAN 1
#endif
#endif

namespace magpie::detail {

namespace {

constexpr unsigned most_asked = 9;  // workers, in runs_elsewhere(): each is a look into another's cache lines

constinit thread_local thread_state here;

struct exit_flush {
    bool armed = false;
    ~exit_flush() { here.frames.flush(); }
};
thread_local exit_flush at_exit;

} // namespace

worker* set_current_worker(worker* w) noexcept {
    return std::exchange(here.current, w);
}

void set_frame_limit(std::size_t bytes) noexcept {
    here.frames.set_limit(bytes);
    flush_frames_at_thread_exit();
}

void flush_frames_at_thread_exit() noexcept {
    at_exit.armed = true;  // odr-use: registers the destructor for this thread
}

[[gnu::noinline]] worker* current_worker() noexcept {
    return here.current;
}

bool runs_elsewhere(void const* task) noexcept {
    scheduler& shared = here.current->shared();
    unsigned const count = std::min(shared.size(), most_asked);
    for (unsigned i = 1; i < count && task != nullptr; ++i) {
        if (shared.at((here.current->index() + i) % shared.size()).current() == task) {
            return true;
        }
    }
    return false;
}

[[gnu::noinline]] worker* current_home() noexcept {
    return &here.current->shared().home_for(*here.current);
}

named_limits* current_named_limits(std::unique_ptr<named_limits> (*make)(limit_settings const&)) {
    worker* const current = current_worker();
    return current == nullptr ? nullptr : &current->shared().limits().get(make);
}

[[gnu::noinline]] task_context* current_context() noexcept {
    return here.current == nullptr ? nullptr : here.current->current();
}

[[gnu::noinline]] local_values* current_locals() noexcept {
    if (here.current == nullptr) {
        return here.foreign_locals;
    }
    task_context const* const task = here.current->current();
    return task == nullptr ? nullptr : task->locals;
}

[[gnu::noinline]] local_values* set_foreign_locals(local_values* values) noexcept {
    return std::exchange(here.foreign_locals, values);
}

[[gnu::noinline]] cancel_delivery* innermost_delivery() noexcept {
    return here.delivering;
}

[[gnu::noinline]] void set_innermost_delivery(cancel_delivery* innermost) noexcept {
    here.delivering = innermost;
}

[[gnu::noinline]] driver& current_driver() noexcept {
    return here.current->loop();
}

// Under ASan every frame comes from the allocator, so that a use after free is seen.
[[gnu::noinline]] void* allocate_frame_of(std::size_t frame_class) {
#if defined(MAGPIE_ASAN)
    return ::operator new((frame_class + 1) * frame_granule);
#else
    return here.frames.allocate_class(frame_class);
#endif
}

[[gnu::noinline]] void deallocate_frame_of(void* memory, [[maybe_unused]] std::size_t frame_class) noexcept {
#if defined(MAGPIE_ASAN)
    ::operator delete(memory);
#else
    here.frames.deallocate_class(memory, frame_class);
#endif
}

[[gnu::noinline]] std::coroutine_handle<> fork_join::launch(std::coroutine_handle<> parent, task_context& parent_context,
                                                            child& last, std::size_t count) {
    return launch_on(parent, parent_context, last, count, *here.current);
}

[[gnu::noinline]] std::coroutine_handle<> fork_join::arrive(child& ended) noexcept {
    MAGPIE_ASSERT(ended.join == this);
    return arrive_on(*here.current);
}

void schedule(work_item& item) noexcept {
    task_context const& task = *item.context;
    worker& home = *task.home;
    worker* const current = here.current;
    if (current == nullptr || &current->shared() != &home.shared()) {
        home.shared().inject(item);
    } else if (task.pinned && current != &home) {
        home.post_pinned(item);
    } else {
        current->push(item);
    }
}

void schedule_yield(work_item& item) noexcept {
    here.current->push_quietly(item);
}

void deliver_cancellation(task_context& context) {
    context.consume_request();
    throw task_cancelled();
}

void deliver_if_due(task_context& context) {
    if (context.take_request()) {
        throw task_cancelled();
    }
}

bool budget_exhausted() noexcept {
    // Under the simulated clock an await that is ready does not suspend: the order of a run must not depend on counts.
    return here.current != nullptr && !here.current->fifo() && here.current->charge_await();
}

} // namespace magpie::detail
