#pragma once

#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <utility>

namespace magpie::detail {

// What every coroutine of this library carries: who goes on when it ends, and the task it runs in.
class promise_base {
public:
    promise_base() = default;
    promise_base(promise_base const&) = delete;
    promise_base& operator=(promise_base const&) = delete;

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { deallocate_frame(frame, size); }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    // A frame that was awaited hands over to its awaiter; a task's first frame ends the task.
    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        template <std::derived_from<promise_base> Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) const noexcept {
            promise_base& promise = frame.promise();
            if (promise.continuation_) [[likely]] {
                return promise.continuation_;
            }
            return promise.context_->finish(finish_kind::ran);
        }
        void await_resume() const noexcept {}
    };
    final_awaiter final_suspend() const noexcept { return {}; }

    task_context* context() const noexcept { return context_; }
    // The frame will run as part of the awaiter's task, and then hand over to it.
    void run_within(std::coroutine_handle<> awaiter, task_context* context) noexcept {
        continuation_ = awaiter;
        context_ = context;
    }
    // The frame is the first of a task of its own.
    void run_as(task_context& context) noexcept {
        if (continuation_) [[unlikely]] {
            continuation_ = nullptr;
            context.mark_started();
        }
        context_ = &context;
    }
    // Before run_as(): the task begins even if it has been cancelled by then, because what it awaits runs already, and
    // has to be cancelled and waited for.
    void begin_in_any_case() noexcept { continuation_ = std::noop_coroutine(); }

private:
    std::coroutine_handle<> continuation_;
    task_context* context_ = nullptr;
};

template <class T>
class task_promise_base : public promise_base {
    static_assert(alignof(stored_t<T>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                  "a task cannot result in an over-aligned type: compilers misplace it in frames; return a pointer to it");

public:
    void unhandled_exception() noexcept { result_.set_error(std::current_exception()); }
    result_slot<T>& result() noexcept { return result_; }

protected:
    result_slot<T> result_;
};

// The coroutine handles that magpie's awaitables can suspend.
template <class Promise>
concept runnable_promise = std::derived_from<Promise, promise_base>;

} // namespace magpie::detail
