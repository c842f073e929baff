#pragma once

// One call on the blocking pool, for to_thread().
//
// waiting_awaiter: the call lies in the awaiting frame, which nothing resumes before the pool has let go of it.
//
//   queued    --the pool--> running --> over       the value or the error is in the frame
//   queued    --a request--> dropped --the pool--> over       fn never runs; the cancellation is delivered
//
// The pool's thread and a canceller decide by one exchange on state_. The request stays in the task's word in any case;
// the pool's wake() is the last touch.
//
// abandoning_awaiter: the call lies in a block that the awaiter and the pool own together. Under the block's lock:
//
//   waiting   the awaiter's waiter; whoever takes it ends the wait: the pool when fn has returned, or a canceller
//   abandoned set by the canceller: what fn leaves behind is destroyed by the pool, which skips fn if it has not begun
//
// fn's stop_token must outlive the task then: it looks at a record in the block, which the canceller marks.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/blocking.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/detail/task_context.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/this_task.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace magpie::detail {

struct wait_on_cancel_t {
    explicit wait_on_cancel_t() = default;
};

// A function and its arguments, to be called once. A generic function that would take a stop_token, but is content
// without, does not get one.
template <class Fn, class... Args>
class bound_call {
    static constexpr bool plain = std::invocable<Fn, Args...>;
    template <bool Plain, class = void>
    struct result_of : std::invoke_result<Fn, Args...> {};
    template <class Unused>
    struct result_of<false, Unused> : std::invoke_result<Fn, stop_token, Args...> {};

public:
    using result = typename result_of<plain>::type;

    template <class F, class... As>
    explicit bound_call(std::in_place_t, F&& fn, As&&... args) : fn_(std::forward<F>(fn)), args_(std::forward<As>(args)...) {}

    void run(result_slot<result>& into, [[maybe_unused]] stop_token token) noexcept {
        try {
            auto const call = [&](Args&... args) -> result {
                if constexpr (plain) {
                    return std::invoke(std::move(fn_), std::move(args)...);
                } else {
                    return std::invoke(std::move(fn_), token, std::move(args)...);
                }
            };
            if constexpr (std::is_void_v<result>) {
                std::apply(call, args_);
                into.set_value();
            } else if constexpr (std::is_reference_v<result>) {
                into.set_value(std::addressof(std::apply(call, args_)));
            } else {
                into.set_value(std::apply(call, args_));
            }
        } catch (...) {
            into.set_error(std::current_exception());
        }
    }

private:
    Fn fn_;
    std::tuple<Args...> args_;
};

// ---------------------------------------------------------------------------------------------- waits on cancel

class thread_waiter : public waiter, public blocking_call {
public:
    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return submit();
    }
    std::string describe() const final { return "a blocking call"; }

protected:
    thread_waiter() = default;
    ~thread_waiter() = default;

    // Throws if the call was dropped because of a request.
    void check() const;

private:
    enum class state : std::uint8_t { queued, running, dropped };

    virtual void call() noexcept = 0;
    bool submit();
    void run() noexcept final;
    bool try_cancel() noexcept final;

    atomic<state> state_{state::queued};
};

template <class Fn, class... Args>
class waiting_awaiter final : public thread_waiter {
public:
    using result = typename bound_call<Fn, Args...>::result;

    explicit waiting_awaiter(bound_call<Fn, Args...>&& call) : call_(std::move(call)) {}
    result await_resume() {
        check();
        return result_.get();
    }

private:
    void call() noexcept override { call_.run(result_, stop_token(*context)); }

    bound_call<Fn, Args...> call_;
    result_slot<result> result_;
};

// ---------------------------------------------------------------------------------------------- abandons

class abandoned_call : public blocking_call {
public:
    abandoned_call(abandoned_call const&) = delete;
    abandoned_call& operator=(abandoned_call const&) = delete;

    // Gives up one of the two references.
    void release() noexcept;

protected:
    abandoned_call() noexcept : stop_(nullptr) {}
    virtual ~abandoned_call() = default;

    stop_token token() noexcept { return stop_token(stop_); }

private:
    friend class abandoning_waiter;

    virtual void call() noexcept = 0;
    // Destroys function, arguments and result.
    virtual void clear() noexcept = 0;
    void run() noexcept final;

    atomic<std::uint8_t> references_{2};
    spin_lock lock_;
    bool abandoned_ = false;
    waiter* waiting_ = nullptr;
    local_values_ptr locals_;  // what the task saw: the call may outlive it
    task_context stop_;  // never run: only asked to end
};

class abandoning_waiter : public waiter {
public:
    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return submit();
    }
    std::string describe() const final { return "a blocking call"; }

protected:
    explicit abandoning_waiter(abandoned_call& call) noexcept : block_(&call) {}
    ~abandoning_waiter();

    // Throws if the wait was cancelled.
    void check() const;

private:
    bool submit();
    bool take_back(abandoned_call& block) noexcept;
    bool try_cancel() noexcept final;

    abandoned_call* block_;
    bool submitted_ = false;  // the pool has, or had, its reference
    bool refused_ = false;    // the pool could not take the call, and a request came at the same time
};

template <class Fn, class... Args>
class abandoning_awaiter final : public abandoning_waiter {
public:
    using result = typename bound_call<Fn, Args...>::result;

    explicit abandoning_awaiter(bound_call<Fn, Args...>&& call) : abandoning_awaiter(*new block(std::move(call))) {}
    result await_resume() {
        check();
        return block_->value.get();
    }

private:
    class block final : public abandoned_call {
    public:
        explicit block(bound_call<Fn, Args...>&& call) { call_.emplace(std::move(call)); }
        result_slot<result> value;

    private:
        void call() noexcept override {
            call_->run(value, token());
            call_.reset();  // in this thread
        }
        void clear() noexcept override {
            call_.reset();
            value.reset();
        }
        std::optional<bound_call<Fn, Args...>> call_;
    };

    explicit abandoning_awaiter(block& b) noexcept : abandoning_waiter(b), block_(&b) {}

    block* block_;
};

} // namespace magpie::detail
