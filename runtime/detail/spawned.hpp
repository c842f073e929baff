#pragma once

// The control block of a spawned task: what its handles, its group and the runtime share.
//
//   counts       references, one for the runtime while the task lives and one for each handle, and in the same word the
//                handles alone; the last reference to go frees the block.
//   ended        set once, under the lock, when the outcome is stored; then everybody who watched is told.
//   watchers     waiters in other tasks' frames, linked under the lock. One that is unlinked before the end is never
//                told; the end tells each linked one exactly once, under the lock, so that it cannot die before.
//   looked_at    somebody has taken responsibility for the error: awaited it, read it, or is a group. If nobody has
//                when the task has ended and the last handle is gone, the error is reported, once: by the end if it
//                finds no handle, else with the last reference.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_list.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/hooks.hpp>
#include <magpie/runtime/outcome.hpp>
#include <magpie/runtime/task.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <utility>

namespace magpie::detail {

class scheduler;
class spawned_base;
struct posted;

// Wants to know when a spawned task has ended. Lies in a frame or on a foreign thread's stack; linked in at most one
// block. task_ended() runs under that block's lock: it may queue a task or set a flag, and must not call back. It is
// the last access to the watcher, which may be gone when it returns.
class watcher {
public:
    watcher() = default;
    watcher(watcher const&) = delete;
    watcher& operator=(watcher const&) = delete;
    virtual void task_ended(spawned_base& task) noexcept = 0;

    list_hook hook;

protected:
    ~watcher() = default;
};

// Owns the result of a child: a task group. Told once, after the watchers, outside any lock, while the block is alive.
class task_owner {
public:
    task_owner() = default;
    task_owner(task_owner const&) = delete;
    task_owner& operator=(task_owner const&) = delete;
    virtual void child_ended(spawned_base& child) noexcept = 0;

protected:
    ~task_owner() = default;
};

class spawned_base : public task_context {
public:
    void retain() noexcept { counts_.fetch_add(one_reference, mo_relaxed); }
    void release() noexcept { drop(one_reference); }
    void retain_handle() noexcept { counts_.fetch_add(one_handle + one_reference, mo_relaxed); }
    void release_handle() noexcept { drop(one_handle + one_reference); }
    // As retain_handle(), by whoever has just made the block: nobody else knows it yet.
    void make_first_handle() noexcept { counts_.store(one_handle + 2 * one_reference, mo_relaxed); }
    // A hint, unless nobody else can copy a handle.
    std::uint32_t handle_count() const noexcept {
        return static_cast<std::uint32_t>(counts_.load(mo_acquire) >> 32);  // pairs with drop(): who has gone had looked
    }

    bool ended() const noexcept { return ended_.load(mo_acquire); }  // pairs with the release in end()
    virtual bool ended_cancelled() const noexcept = 0;
    // Null unless the task failed (a cancelled task has not failed). Only after the end.
    virtual std::exception_ptr error() const noexcept = 0;
    void look() noexcept { looked_at_.store(true, mo_relaxed); }

    // Links the watcher. False, and nothing is linked: the task has ended.
    [[nodiscard]] bool watch(watcher& by) noexcept;
    enum class watch_result : std::uint8_t { watching, ended, refused };
    // Links the watcher and publishes `w` as where the current task waits, as one step for a canceller. `refused`: a
    // request is pending.
    [[nodiscard]] watch_result watch_and_suspend(watcher& by, waiter& w) noexcept;
    // Unlinks it. False: it was told, or is being told (when this returns, it has been).
    bool unwatch(watcher& by) noexcept;
    // As watch() and unwatch(), for one who may be told to leave before he has come: he is refused then. `left` is
    // false at first, and only touched under the lock.
    [[nodiscard]] bool watch_unless(watcher& by, bool const& left) noexcept;
    bool leave(watcher& by, bool& left) noexcept;

    // Runs `fn` on some worker after the end, never inline; several run in order, one after the other.
    // Throws usage_error if the task has ended and its runtime is gone.
    void on_end(std::move_only_function<void()> fn);

    // Destroys the un-started frame and frees the block, which nobody else knows: the spawn was refused.
    virtual void abandon() noexcept = 0;

    // Set before the task is queued, then read-only.
    task_owner* owner = nullptr;
    std::uint64_t id = 0;
    std::unique_ptr<std::string const> name;  // null unless one was given
    std::source_location where;
    std::chrono::steady_clock::time_point born;

    // The owner's list of live children, and the registry of a worker's spawned tasks: theirs.
    list_hook sibling;
    list_hook registered;
    std::uint32_t runtime_serial = 0;  // handles may outlive the runtime
    std::uint16_t shard = 0;
    bool internal = false;  // the library's own: a shutdown waits for it, and does not cancel it

protected:
    explicit spawned_base(finish_fn on_finish) noexcept : task_context(on_finish) { is_spawned = true; }
    virtual ~spawned_base();

    // The outcome is stored and the frame gone: tells everybody, and gives up the runtime's reference.
    void end() noexcept;

private:
    static constexpr std::uint64_t one_reference = 1;
    static constexpr std::uint64_t one_handle = std::uint64_t{1} << 32;

    // `told`: the runtime's hooks, from who knows them though the runtime may be gone.
    void drop(std::uint64_t what, std::shared_ptr<hooks const> const& told = nullptr) noexcept;
    void post_callbacks(scheduler& shared) noexcept;
    void report_if_unseen(std::shared_ptr<hooks const> const& told) noexcept;

    // Frees the block: the last reference is gone.
    virtual void destroy() noexcept = 0;

    atomic<std::uint64_t> counts_{one_reference};  // the runtime's
    spin_lock lock_;
    atomic<bool> ended_{false};
    atomic<bool> looked_at_{false};
    atomic<bool> reported_{false};
    intrusive_list<watcher, &watcher::hook> watchers_;
    posted* callbacks_ = nullptr;  // under the lock; the newest first
};

// True if the exception is task_cancelled: without throwing it again.
bool is_cancellation(std::exception_ptr const& error) noexcept;

template <class T>
class spawned final : public spawned_base {
public:
    // Takes over the frame, which will run as a task of its own.
    explicit spawned(task<T>&& body) noexcept : spawned_base(&spawned::finished) {
        auto const frame = release_frame(std::move(body));
        frame.promise().run_as(*this);
        handle = frame;
    }

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* memory, std::size_t size) noexcept { deallocate_frame(memory, size); }

    bool ended_cancelled() const noexcept override { return outcome_.cancelled(); }
    std::exception_ptr error() const noexcept override { return outcome_.cancelled() ? nullptr : outcome_.error(); }
    outcome<T>& result() noexcept { return outcome_; }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<spawned&>(context);
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        if (kind == finish_kind::unstarted) {
            self.outcome_.set_cancelled();
        } else {
            self.store(frame.promise().result());
        }
        frame.destroy();
        self.end();
        return std::noop_coroutine();
    }

    void store(result_slot<T>& result) noexcept {
        try {
            if (!result.has_error()) {
                if constexpr (std::is_void_v<T>) {
                    outcome_.emplace();
                } else {
                    outcome_.emplace(unstore<T>(std::move(result.value())));
                }
            } else if (is_cancellation(result.error())) {
                outcome_.set_cancelled();
            } else {
                outcome_.set_error(std::move(result.error()));
            }
        } catch (...) {  // the value's move constructor threw: that is the task's outcome now
            outcome_.set_error(std::current_exception());
        }
    }

    void abandon() noexcept override {
        handle.destroy();
        delete this;
    }
    void destroy() noexcept override { delete this; }

    outcome<T> outcome_;
};

} // namespace magpie::detail
