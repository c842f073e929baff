#pragma once

#include <magpie/runtime/scheduler/frame_cache.hpp>

namespace magpie::detail {

class local_values;
class worker;
struct cancel_delivery;

// What belongs to a thread: which worker it is, its free frames, the waits that it is asking to end, and, while it
// works for a task without being a worker, what that task's variables hold. Only reached through functions that are
// defined in runtime/scheduler/current.cpp and never inlined elsewhere: a coroutine may go on on another thread, and a
// compiler that kept the address across the suspension would read the old thread's.
struct thread_state {
    worker* current = nullptr;
    frame_cache frames;
    local_values* foreign_locals = nullptr;
    cancel_delivery* delivering = nullptr;
};

// Makes this thread the given worker (null: a foreign thread again) and returns what it was.
worker* set_current_worker(worker* w) noexcept;
// This thread is the worker as long as this lives.
class on_worker {
public:
    explicit on_worker(worker& w) noexcept : before_(set_current_worker(&w)) {}
    on_worker(on_worker const&) = delete;
    on_worker& operator=(on_worker const&) = delete;
    ~on_worker() { set_current_worker(before_); }

private:
    worker* before_;
};

void set_frame_limit(std::size_t bytes) noexcept;
// Registers this thread's cache for flushing. Called once per thread.
void flush_frames_at_thread_exit() noexcept;

} // namespace magpie::detail
