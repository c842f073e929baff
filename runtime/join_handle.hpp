#pragma once

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/hooks.hpp>
#include <magpie/runtime/outcome.hpp>

#include <coroutine>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

namespace magpie {

template <class T = void>
class shared_handle;

namespace detail {

// Counted reference to a spawned task.
template <class Record>
class record_ptr {
public:
    record_ptr() noexcept = default;
    // Takes over one handle reference.
    explicit record_ptr(Record* record) noexcept : record_(record) {}
    record_ptr(record_ptr const& other) noexcept : record_(other.record_) {
        if (record_ != nullptr) {
            record_->retain_handle();
        }
    }
    record_ptr(record_ptr&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    record_ptr& operator=(record_ptr other) noexcept {
        std::swap(record_, other.record_);
        return *this;
    }
    ~record_ptr() {
        if (record_ != nullptr) {
            record_->release_handle();
        }
    }
    Record* get() const noexcept { return record_; }
    Record* operator->() const noexcept { return record_; }
    Record& operator*() const noexcept { return *record_; }
    explicit operator bool() const noexcept { return record_ != nullptr; }

private:
    Record* record_ = nullptr;
};

// Blocks a foreign thread until the task has ended. Throws usage_error on a worker.
void wait_from_outside(spawned_base& task);
[[noreturn]] void throw_usage(char const* what);

// Waits for the end of a spawned task.
class join_waiter : public waiter, public watcher {
public:
    // A request to cancel the waiting task is passed on to the awaited one (its unique owner waits for it), or ends only
    // the wait (others may be waiting too).
    enum class on_request : bool { cancel_task, leave };

    bool await_ready() const noexcept { return task_->ended(); }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    std::string describe() const override;

protected:
    join_waiter(spawned_base& task, on_request policy) noexcept : task_(&task), policy_(policy) {}
    ~join_waiter() = default;

    // Throws if the wait was cancelled, or the task was.
    void check();

    spawned_base* task_;

private:
    bool wait();
    bool try_cancel() noexcept override;
    bool leave_circle() noexcept override;
    void task_ended(spawned_base&) noexcept override { wake(); }

    on_request policy_;
    bool left_ = false;  // under the awaited task's lock: it is not to be waited for any more
};

} // namespace detail

// One end of a spawned task, of any result type: for sets of different tasks. Copyable; refers to the task itself, so it
// stays valid when a join_handle moves or dies. Any thread.
class handle_ref {
public:
    handle_ref() noexcept = default;
    explicit handle_ref(detail::record_ptr<detail::spawned_base> task) noexcept : task_(std::move(task)) {}

    bool valid() const noexcept { return static_cast<bool>(task_); }
    // Requests cancellation; false if the task has ended.
    bool cancel() const noexcept { return task_->request_cancel(detail::request_origin::external); }
    bool done() const noexcept { return task_->ended(); }
    bool cancelled() const noexcept { return task_->ended() && task_->ended_cancelled(); }
    task_id id() const noexcept { return task_->id; }
    std::string name() const { return detail::name_of(*task_); }
    bool operator==(handle_ref const& other) const noexcept { return task_.get() == other.task_.get(); }

    // For the combinators.
    detail::spawned_base& record() const noexcept { return *task_; }

private:
    detail::record_ptr<detail::spawned_base> task_;
};

namespace detail {

// What join_handle and shared_handle have in common.
template <class T>
class handle_base {
public:
    bool valid() const noexcept { return static_cast<bool>(task_); }
    // Requests cancellation of the task; false if it has ended. Any thread.
    bool cancel() const noexcept { return task_->request_cancel(request_origin::external); }
    bool done() const noexcept { return task_->ended(); }
    // True if it has ended by cancellation. A task that caught the request and returned a value was not cancelled.
    bool cancelled() const noexcept { return task_->ended() && task_->ended_cancelled(); }
    // How it ended. Throws usage_error if it has not. Counts as looking at an error.
    outcome<T> const& result() const {
        if (!task_->ended()) {
            throw_usage("result() was called on a task that has not ended; co_await its handle, or ask done() first");
        }
        task_->look();
        return task_->result();
    }
    task_id id() const noexcept { return task_->id; }
    std::string name() const { return name_of(*task_); }

    // Runs fn on some worker once the task has ended, never inline; several run in the order of registration. What fn
    // throws goes to on_unhandled.
    void on_done(std::move_only_function<void()> fn) const { task_->on_end(std::move(fn)); }

    // Blocks the calling thread, which must not be a worker, until the task has ended; throws nothing of the task's.
    void blocking_wait() const { wait_from_outside(*task_); }

    handle_ref ref() const noexcept {
        task_->retain_handle();
        return handle_ref(record_ptr<spawned_base>(task_.get()));
    }
    spawned<T>& record() const noexcept { return *task_; }

protected:
    handle_base() noexcept = default;
    explicit handle_base(record_ptr<spawned<T>> task) noexcept : task_(std::move(task)) {}

    record_ptr<spawned<T>> task_;
};

template <class T>
class owning_join final : public join_waiter {
public:
    // Keeps the task's record while it waits: the handle may be a temporary.
    explicit owning_join(record_ptr<spawned<T>> task) noexcept
        : join_waiter(*task, on_request::cancel_task), record_(std::move(task)) {}
    T await_resume() {
        check();
        return std::move(record_->result()).value();
    }

private:
    record_ptr<spawned<T>> record_;
};

template <class T>
class borrowing_join final : public join_waiter {
public:
    explicit borrowing_join(spawned<T>& task) noexcept
        : join_waiter(task, on_request::cancel_task), record_(&task) {}
    decltype(auto) await_resume() {
        check();
        return record_->result().value();
    }

private:
    spawned<T>* record_;
};

template <class T>
class sharing_join final : public join_waiter {
public:
    explicit sharing_join(record_ptr<spawned<T>> task) noexcept
        : join_waiter(*task, on_request::leave), record_(std::move(task)) {}
    decltype(auto) await_resume() {
        check();
        return std::as_const(record_->result()).value();
    }

private:
    record_ptr<spawned<T>> record_;
};

} // namespace detail

// The owner's end of a spawned task. Move-only. Dropping it detaches: the task goes on, owned by the runtime, and an
// error that nobody has looked at is reported.
//   co_await std::move(h)   waits and moves the value out, or rethrows; the value dies with the task otherwise
//   co_await h              waits and gives T&, valid as long as the handle lives
// A task that was cancelled by others throws child_cancelled. Cancelling who awaits cancels the task, and waits for its
// end. Awaiting oneself throws usage_error; so does awaiting, in a combinator's child, a task that waits for that child.
// Tasks that await each other in a wider circle never end (on the simulated clock: deadlock_error). When one of them is
// cancelled, by shutdown() at the latest, one gives up waiting, and so all of them end as cancelled. Any thread may call
// the other members; one task at a time awaits.
template <class T = void>
class [[nodiscard("dropping the handle detaches the task: say so with detach(), or spawn into a task group")]] join_handle
    : public detail::handle_base<T> {
public:
    using value_type = T;

    join_handle() noexcept = default;
    explicit join_handle(detail::record_ptr<detail::spawned<T>> task) noexcept
        : detail::handle_base<T>(std::move(task)) {}
    join_handle(join_handle&&) noexcept = default;
    join_handle& operator=(join_handle&&) noexcept = default;

    // Gives the task up to the runtime.
    void detach() noexcept { this->task_ = {}; }
    // For several awaiters: each gets T const&.
    shared_handle<T> share() && noexcept { return shared_handle<T>(std::move(this->task_)); }

    auto operator co_await() && noexcept { return detail::owning_join<T>(std::move(this->task_)); }
    auto operator co_await() & noexcept { return detail::borrowing_join<T>(*this->task_); }
};

// A copyable handle: any number of tasks may await it, each gets T const&. Cancelling one of them ends its wait only.
template <class T>
class shared_handle : public detail::handle_base<T> {
public:
    using value_type = T;

    shared_handle() noexcept = default;
    explicit shared_handle(detail::record_ptr<detail::spawned<T>> task) noexcept
        : detail::handle_base<T>(std::move(task)) {}

    auto operator co_await() const noexcept { return detail::sharing_join<T>(this->task_); }
};

} // namespace magpie
