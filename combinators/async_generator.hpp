#pragma once

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/work_item.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace magpie {

template <class T>
class async_generator;

// Thrown into a generator, at its co_yield, by close(). Like task_cancelled it does not derive from std::exception:
// catch it to clean up, then rethrow, or leave the body in any other way.
class generator_closed final {
public:
    char const* what() const noexcept { return "the generator was closed"; }
};

namespace detail {

// What next() gives: the value, moved out; of a generator of references, the address of what was yielded.
template <class T>
using generated_t = std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::optional<T>>;

// A generator's frame runs as part of the task that awaits next(), from then until it yields or ends. In between it is
// suspended at a co_yield, belongs to no task, and what it yielded lies in it.
template <class T>
class generator_promise final : public promise_base {
    using object = std::remove_reference_t<T>;

    // Hands over to who asked for the value.
    class yield_in_place {
    public:
        yield_in_place(generator_promise& promise, object& yielded) noexcept : promise_(promise) {
            promise_.yielded_ = std::addressof(yielded);
        }
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept { return promise_.consumer_; }
        void await_resume() const {
            promise_.yielded_ = nullptr;
            if (promise_.closing_) {
                throw generator_closed();
            }
        }

    private:
        generator_promise& promise_;
    };
    // The same for something that has to be made into a T first.
    class yield_made {
    public:
        template <class U>
        yield_made(generator_promise& promise, U&& from) : made_(std::forward<U>(from)), hand_over_(promise, made_) {}
        yield_made(yield_made const&) = delete;
        yield_made& operator=(yield_made const&) = delete;
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> frame) const noexcept {
            return hand_over_.await_suspend(frame);
        }
        void await_resume() const { hand_over_.await_resume(); }

    private:
        std::remove_cv_t<object> made_;
        yield_in_place hand_over_;
    };

public:
    async_generator<T> get_return_object() noexcept;
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { error_ = std::current_exception(); }

    // Objects: an rvalue of the type itself stays where it is until the consumer has moved it out; anything else is
    // made into one that lies in the frame.
    yield_in_place yield_value(object&& value) noexcept
        requires(!std::is_reference_v<T>)
    {
        return yield_in_place(*this, value);
    }
    template <class U>
        requires(!std::is_reference_v<T> && std::constructible_from<T, U>)
    yield_made yield_value(U&& value) {
        return yield_made(*this, std::forward<U>(value));
    }
    // References: the object itself. A const reference may be to a temporary, which lives until the next next().
    yield_in_place yield_value(object& value) noexcept
        requires std::is_reference_v<T>
    {
        return yield_in_place(*this, value);
    }

    // The consumer waits from here on.
    void run_for(std::coroutine_handle<> consumer, task_context* context) noexcept {
        begun_ = true;
        running_ = true;
        consumer_ = consumer;
        run_within(consumer, context);
    }
    bool begun() const noexcept { return begun_; }
    bool running() const noexcept { return running_; }
    void close() noexcept { closing_ = true; }

    // The consumer goes on: takes what came of it.
    generated_t<T> take() {
        running_ = false;
        if (error_) [[unlikely]] {
            std::rethrow_exception(std::exchange(error_, nullptr));
        }
        if constexpr (std::is_reference_v<T>) {
            return yielded_;
        } else {
            return yielded_ == nullptr ? std::nullopt : std::optional<T>(std::move(*yielded_));
        }
    }

private:
    std::coroutine_handle<> consumer_;
    object* yielded_ = nullptr;  // null unless it is suspended at a co_yield
    std::exception_ptr error_;
    bool begun_ = false;
    bool running_ = false;
    bool closing_ = false;
};

[[noreturn]] void throw_generator_in_use();
[[noreturn]] void throw_generator_yields_while_closed();

// What next() gives.
template <class T>
class [[nodiscard("co_await it")]] generator_next {
    using frame_handle = std::coroutine_handle<generator_promise<T>>;

    class awaiter final : public work_item {
    public:
        explicit awaiter(frame_handle frame) noexcept : frame_(frame) {}
        awaiter(awaiter const&) = delete;
        awaiter& operator=(awaiter const&) = delete;

        bool await_ready() const {
            if (!frame_) {
                return true;
            }
            if (frame_.promise().running()) {
                throw_generator_in_use();
            }
            return frame_.done();
        }
        template <runnable_promise Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> consumer) noexcept {
            context = consumer.promise().context();
            frame_.promise().run_for(consumer, context);
            if (budget_exhausted()) {
                handle = frame_;
                schedule_yield(*this);
                return std::noop_coroutine();
            }
            return frame_;
        }
        generated_t<T> await_resume() {
            if (!frame_) {
                return generated_t<T>();
            }
            return frame_.promise().take();
        }

    private:
        frame_handle frame_;
    };

public:
    explicit generator_next(frame_handle frame) noexcept : frame_(frame) {}
    awaiter operator co_await() const noexcept { return awaiter(frame_); }

private:
    frame_handle frame_;
};

}  // namespace detail

// A coroutine that gives values one after the other, and may await in between:
//
//   async_generator<std::string> lines(tcp_stream& s) { while (...) { co_yield co_await read_line(s); } }
//   while (auto item = co_await gen.next()) use(*item);
//
// Calling it runs nothing; each next() runs it, inside the awaiting task, to its next co_yield. T may be move-only
// (co_yield an rvalue), and a reference: next() then gives a pointer to what was yielded, valid until the next next().
//
// What the body throws comes out of next(), once; then the generator has ended. A request to cancel the task that
// awaits next() is delivered in the body, where it waits; task_cancelled comes out like any other exception, and a body
// that catches it may go on.
//
// Destroying a generator that has not begun destroys its arguments; one that is suspended at a co_yield is destroyed
// there: its variables' destructors run, in this thread, but nothing can be awaited. A body that has to await to clean
// up needs close(). It must not be destroyed while a next() runs.
//
// Move-only. One next() at a time, else usage_error; different ones may be awaited by different tasks on different
// workers.
template <class T>
class [[nodiscard("a generator does nothing until its next() is awaited")]] async_generator {
    static_assert(!std::is_void_v<T> && !std::is_rvalue_reference_v<T>,
                  "a generator gives objects, or lvalue references to what lives elsewhere");
    using frame_handle = std::coroutine_handle<detail::generator_promise<T>>;

public:
    using promise_type = detail::generator_promise<T>;
    using value_type = std::remove_cvref_t<T>;

    async_generator(async_generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    async_generator& operator=(async_generator&& other) noexcept {
        if (this != &other) {
            destroy();
            frame_ = std::exchange(other.frame_, nullptr);
        }
        return *this;
    }
    ~async_generator() { destroy(); }

    // The next value as std::optional<T>, or for references as a pointer; empty when the body has ended.
    detail::generator_next<T> next() noexcept { return detail::generator_next<T>(frame_); }

    // Ends a generator early so that its body can await while it cleans up: `co_await gen.close()` throws
    // generator_closed into the body at its co_yield and waits until it has ended; what else the body throws comes out.
    // Does nothing if it has not begun or has ended. Throws usage_error, and does nothing, while a next() runs; if the
    // body yields once more, usage_error after it has been destroyed there. The generator must stay until then, and
    // gives nothing more.
    task<> close() {
        if (frame_ && frame_.promise().running()) {
            detail::throw_generator_in_use();
        }
        if (frame_ && frame_.promise().begun() && !frame_.done()) {
            frame_.promise().close();
            bool yielded = false;
            try {
                yielded = static_cast<bool>(co_await next());
            } catch (generator_closed const&) {}
            if (yielded) {
                destroy();
                detail::throw_generator_yields_while_closed();
            }
        }
        destroy();
    }

private:
    friend promise_type;
    explicit async_generator(frame_handle frame) noexcept : frame_(frame) {}
    void destroy() noexcept {
        if (frame_) {
            MAGPIE_ASSERT(!frame_.promise().running());
            std::exchange(frame_, nullptr).destroy();
        }
    }

    frame_handle frame_;
};

template <class T>
async_generator<T> detail::generator_promise<T>::get_return_object() noexcept {
    return async_generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

}  // namespace magpie
