#pragma once

#include <magpie/combinators/detail/group_core.hpp>
#include <magpie/combinators/detail/group_spawner.hpp>
#include <magpie/combinators/policy.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

namespace detail {
struct group_access;
}

// How with_task_group() treats its children. All members are optional.
struct task_group_options {
    error_policy on_error =
        error_policy::cancel_rest;  // or wait_all: an error cancels nobody, and is thrown at the end
    bool serial = false;  // the children share one worker and never run in parallel: for code that is not thread-safe
};

// A copyable reference to a task group, which may outlive the block. Any thread.
class task_group_ref : public detail::group_spawner<task_group_ref> {
public:
    task_group_ref(task_group_ref const& other) noexcept : core_(other.core_) { core_->retain(); }
    task_group_ref& operator=(task_group_ref other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~task_group_ref() { core_->release(); }

    // As task_group's; does nothing when the group has ended.
    void cancel() const noexcept { core_->cancel(); }
    // spawn(...), as task_group's; throws usage_error when the group has ended.

private:
    friend class task_group;
    friend detail::group_spawner<task_group_ref>;
    explicit task_group_ref(detail::group_core& core) noexcept : core_(&core) { core.retain(); }
    template <class T>
    child_handle<T> start(task<T>&& body, spawn_options const& options) {
        return child_handle<T>(detail::record_ptr<detail::spawned<T>>(&core_->spawn(std::move(body), options)));
    }

    detail::group_core* core_;
};

// The inside of with_task_group(). Lives as long as the block; the body, the children and, with care, other threads may
// use it.
//
// spawn(...) has the forms of magpie::spawn(). It schedules a child and gives its handle, which may be dropped: the group
// owns the task and its error. Throws group_aborting while the group is being cancelled, and usage_error when it has
// ended; the task is destroyed un-started then. A group_aborting that leaves a child makes that child cancelled, not
// failed.
class task_group : public detail::group_face<task_group> {
public:
    task_group_ref ref() const noexcept { return task_group_ref(core()); }

private:
    friend detail::group_face<task_group>;
    friend struct detail::group_access;
    template <class T, class Group>
    friend class detail::bounded_spawn_awaiter;

    explicit task_group(detail::group_core& core) noexcept : group_face(core) {}
    struct place {};  // children leave nothing
    static place make_place() noexcept { return {}; }
    template <class T>
    child_handle<T> made(detail::spawned<T>& child, place) noexcept {
        return child_handle<T>(detail::record_ptr<detail::spawned<T>>(&child));
    }
    void results() const noexcept {}
};

// The inside of with_task_group<T>(): a task_group whose children all result in T, and are kept until the end.
template <class T>
class task_group_of : public detail::group_face<task_group_of<T>> {
    static_assert(!std::is_void_v<T>, "children without a value leave no results: use with_task_group(...)");

private:
    using face = detail::group_face<task_group_of<T>>;
    using record = detail::record_ptr<detail::spawned<T>>;
    using value = detail::stored_t<T>;
    friend face;
    friend struct detail::group_access;
    template <class U, class Group>
    friend class detail::bounded_spawn_awaiter;

    explicit task_group_of(detail::group_core& core) noexcept : face(core) {}

    struct spawn_entry {
        record task;
        std::unique_ptr<spawn_entry> next;
    };
    // Where the next child's result will be found. Made before the child: without memory there is none.
    using place = std::unique_ptr<spawn_entry>;
    static place make_place() { return std::make_unique<spawn_entry>(); }
    child_handle<T> made(detail::spawned<T>& child, place entry) noexcept {
        child_handle<T> handle{record(&child)};
        child.retain_handle();
        entry->task = record(&child);
        std::lock_guard const lock(lock_);
        (last_ == nullptr ? first_ : last_->next) = std::move(entry);
        last_ = last_ == nullptr ? first_.get() : last_->next.get();
        return handle;
    }

    // What the caller kept a handle of is copied, so that it can still be read there.
    std::vector<value> results() {
        std::vector<value> values;
        while (first_ != nullptr) {
            auto& ended = first_->task->result();
            if (ended.has_value()) {
                if constexpr (std::is_reference_v<T>) {
                    values.push_back(&ended.value());
                } else if constexpr (std::copy_constructible<T>) {
                    first_->task->handle_count() > 1 ? values.push_back(ended.value())
                                                     : values.push_back(std::move(ended.value()));
                } else {
                    values.push_back(std::move(ended.value()));
                }
            }
            first_ = std::move(first_->next);
        }
        return values;
    }

    detail::spin_lock lock_;
    std::unique_ptr<spawn_entry> first_;
    spawn_entry* last_ = nullptr;
};

namespace detail {

// The owner's hold on the core: whatever happens, it is closed.
class open_group {
public:
    explicit open_group(task_group_options const& options)
        : core_(group_core::open(options.on_error == error_policy::cancel_rest, options.serial)) {}
    open_group(open_group const&) = delete;
    open_group& operator=(open_group const&) = delete;
    ~open_group() { core_.close(); }
    group_core& core() const noexcept { return core_; }

private:
    group_core& core_;
};

struct group_access {
    template <class Result, class Group, class Fn, class... Args>
    static task<Result> run(task_group_options options, Fn fn, Args... args) {
        open_group const open(options);
        Group group(open.core());
        std::exception_ptr error;
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<Fn, Group&, Args...>>) {
                std::invoke(std::move(fn), group, std::move(args)...);
            } else {
                co_await std::invoke(std::move(fn), group, std::move(args)...);
            }
        } catch (...) {
            error = std::current_exception();
        }
        open.core().body_over(error);
        co_await open.core().join();
        open.core().conclude(std::move(error));
        co_return group.results();
    }
};

template <class Group, class Fn, class... Args>
concept group_body =
    std::invocable<Fn, Group&, Args...> &&
    (std::is_void_v<std::invoke_result_t<Fn, Group&, Args...>> || awaitable<std::invoke_result_t<Fn, Group&, Args...>>);

template <class T>
using group_results_t = std::vector<stored_t<T>>;

}  // namespace detail

// Runs a block that tasks can be spawned into, and that is left only when all of them have ended:
//
//   co_await with_task_group([&](task_group& g) -> task<> { g.spawn(f(1)); g.spawn(f(2)); co_return; });
//   std::vector<T> v = co_await with_task_group<T>([&](task_group_of<T>& g) { g.spawn(f(1)); g.spawn(f(2)); });
//
// The body is a coroutine function, or a plain function that returns void; it runs in the awaiting task. Options go
// last, or first before (fn, args...). Children must not refer to the body's own variables, which are gone when it has
// ended; fn, its captures and the arguments live as long as the block.
//
// The first child that fails (a cancelled one has not failed) cancels the others and the body; a body that fails cancels
// the children. When all have ended, exception_group is thrown with every error in the order in which they happened, the
// body's last, even if there is only one. Cancelling the task that runs the block cancels the body and the children, each
// once; task_cancelled is thrown at the end, or the exception_group of those who failed while they unwound, and then the
// cancellation is delivered at the next suspension. The task's cancel count is as before on every exit, but for requests
// that others made.
//
// With T the results come in the order of spawning; a child that was cancelled leaves none. T& gives T*.
template <class Fn>
    requires detail::group_body<task_group, std::decay_t<Fn>>
task<> with_task_group(Fn&& fn, task_group_options options = {}) {
    detail::check_closure<Fn>();
    return detail::group_access::run<void, task_group, std::decay_t<Fn>>(options, std::forward<Fn>(fn));
}
template <class Fn, class... Args>
    requires detail::group_body<task_group, std::decay_t<Fn>, std::decay_t<Args>...>
task<> with_task_group(task_group_options options, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return detail::group_access::run<void, task_group, std::decay_t<Fn>, std::decay_t<Args>...>(
        options, std::forward<Fn>(fn), std::forward<Args>(args)...);
}
template <class Fn, class First, class... Rest>
    requires detail::group_body<task_group, std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>
task<> with_task_group(Fn&& fn, First&& first, Rest&&... rest) {
    return with_task_group(task_group_options{}, std::forward<Fn>(fn), std::forward<First>(first),
                           std::forward<Rest>(rest)...);
}

template <class T, class Fn>
    requires detail::group_body<task_group_of<T>, std::decay_t<Fn>>
task<detail::group_results_t<T>> with_task_group(Fn&& fn, task_group_options options = {}) {
    detail::check_closure<Fn>();
    return detail::group_access::run<detail::group_results_t<T>, task_group_of<T>, std::decay_t<Fn>>(
        options, std::forward<Fn>(fn));
}
template <class T, class Fn, class... Args>
    requires detail::group_body<task_group_of<T>, std::decay_t<Fn>, std::decay_t<Args>...>
task<detail::group_results_t<T>> with_task_group(task_group_options options, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return detail::group_access::run<detail::group_results_t<T>, task_group_of<T>, std::decay_t<Fn>,
                                     std::decay_t<Args>...>(options, std::forward<Fn>(fn), std::forward<Args>(args)...);
}
template <class T, class Fn, class First, class... Rest>
    requires detail::group_body<task_group_of<T>, std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>
task<detail::group_results_t<T>> with_task_group(Fn&& fn, First&& first, Rest&&... rest) {
    return with_task_group<T>(task_group_options{}, std::forward<Fn>(fn), std::forward<First>(first),
                              std::forward<Rest>(rest)...);
}

}  // namespace magpie
