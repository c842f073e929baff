#pragma once

#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_locals.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace magpie::detail {

// A function that waits to be run on some worker: what post() and on_done() take. It sees the task_local variables of
// the task that made it.
struct posted {
    posted(std::move_only_function<void()> function, char const* what) noexcept
        : fn(std::move(function)), context(what), locals(current_locals()) {}

    std::move_only_function<void()> fn;
    char const* context;  // for the report if it throws
    local_values_ptr locals;
    posted* next = nullptr;
};

// Posted functions, in the order in which they came. One task at a time runs them, the drainer: who adds to a queue
// that has none starts it.
class post_queue {
public:
    post_queue() = default;
    post_queue(post_queue const&) = delete;
    post_queue& operator=(post_queue const&) = delete;
    ~post_queue() {
        while (take() != nullptr) {
        }
    }

    // True: the caller must start the drainer.
    [[nodiscard]] bool add(std::unique_ptr<posted> function) noexcept {
        std::lock_guard const lock(lock_);
        waiting_.push_back(function.release());
        return !std::exchange(has_drainer_, true);
    }
    // The drainer's: null, and it must end, when there is nothing left.
    std::unique_ptr<posted> take() noexcept {
        std::lock_guard const lock(lock_);
        posted* const next = waiting_.pop_front();
        has_drainer_ = next != nullptr;
        return std::unique_ptr<posted>(next);
    }
    // The drainer could not be started: the next to add tries again.
    void no_drainer() noexcept {
        std::lock_guard const lock(lock_);
        has_drainer_ = false;
    }

private:
    spin_lock lock_;
    intrusive_queue<posted> waiting_;
    bool has_drainer_ = false;
};

} // namespace magpie::detail
