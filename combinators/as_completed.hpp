#pragma once

#include <magpie/combinators/completed_item.hpp>
#include <magpie/combinators/detail/completed_child.hpp>
#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_range.hpp>
#include <magpie/combinators/detail/generator_source.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/task.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

namespace detail {
struct as_completed_access;
}

// What next() gives for a task of the caller's.
template <class Handle>
class completed_handle {
public:
    completed_handle(std::size_t its_index, Handle& of_task) noexcept : index(its_index), handle(of_task) {}

    std::size_t index;  // where the handle was in the input
    Handle& handle;     // the caller's own

    // A reference to the value, which stays with the task, or throws what the task threw. Of a handle_ref, which knows
    // no value: nothing, or throws.
    decltype(auto) get() const {
        auto& task = handle.record();
        task.look();
        if constexpr (detail::unique_handle<Handle>) {
            return task.result().value();
        } else if constexpr (detail::shared_task_handle<Handle>) {
            return std::as_const(task.result()).value();
        } else {
            if (task.ended_cancelled()) {
                detail::throw_child_cancelled();
            }
            if (std::exception_ptr error = task.error()) {
                std::rethrow_exception(std::move(error));
            }
        }
    }
};

// The inside of as_completed(range, body): its tasks, in the order in which they end. Lives as long as the block.
// Several tasks of the block may call next() at once, also on several workers: who came first is served first, each
// item goes to one of them.
template <class R>
class completed_tasks final : private detail::completion_core {
    using task_value = detail::child_value_t<true, detail::source_argument_t<R>>;
    using child = detail::completed_child<task_value>;

public:
    using value_type = task_value;
    using item = completed_item<value_type>;

    // The next task to end, whatever it ended with: item->get() throws what the task threw, and the stream goes on.
    // Empty when all have been given. Throws timeout_error when the time is up and none is there that had ended before;
    // what the range throws, once. Cancelling it takes nothing away: it throws task_cancelled, the tasks go on.
    detail::next_completed<completed_tasks> next() noexcept { return detail::next_completed<completed_tasks>(*this); }

private:
    template <class>
    friend class detail::next_completed;
    friend struct detail::as_completed_access;

    completed_tasks(detail::task_context& parent, R&& source, std::size_t limit)
        : parent_(parent),
          source_(std::forward<R>(source)),
          limit_(limit == 0 ? std::numeric_limits<std::size_t>::max() : limit) {}

    void begin() {
        if constexpr (detail::generator_source<R>) {
            start_feeder(parent_, *new detail::completion_feeder(feed_from_generator()), limit_);
        } else {
            feed_up_to(limit_);
            feed();
        }
    }

    template <class A>
    void add(A&& from) {
        auto body = detail::as_child<true>(std::forward<A>(from));
        if (start_in_time(parent_, *new child(std::move(body), begun_))) {
            ++begun_;
        }
    }
    // Handles that were moved in: what is behind those that had no turn runs all the same, and is to be joined.
    void begin_rest() {
        if constexpr (detail::owns_handles<R>) {
            if (!at_ || *at_ != std::ranges::end(source_.get())) {
                while (start_one()) {}
            }
        }
    }

    bool start_one() override {
        if constexpr (!detail::generator_source<R>) {
            auto& range = source_.get();
            if (!at_) {
                at_.emplace(std::ranges::begin(range));
            } else {
                ++*at_;  // as late as this: in a generator it makes the next task
            }
            if (*at_ == std::ranges::end(range)) {
                return false;
            }
            add(static_cast<detail::range_argument_t<R>&&>(**at_));
        }
        return !detail::generator_source<R>;
    }

    task<> feed_from_generator() {
        for (;;) {
            co_await room();
            auto made = co_await source_.get().next();
            if (!made) {
                co_return;
            }
            add(detail::generated_element<R>(made));
        }
    }

    item item_of(detail::completion_node& node) {
        auto& ended = static_cast<child&>(static_cast<detail::completion_child&>(node));
        item result(ended.index, ended.take());
        release(ended);
        feed();
        return result;
    }

    detail::task_context& parent_;
    detail::held_range<R> source_;
    std::size_t limit_;
    std::optional<detail::source_position_t<R>> at_;
    std::size_t begun_ = 0;
};

// What as_completed(handles) returns: the caller's tasks, in the order in which they end. Those that had ended before
// it was made come first, in input order. Does not move; the handles must not move or die before it.
template <class E>
class completed_handles final : private detail::completion_core {
    using waited = detail::waited_item<E>;
    using kept = typename waited::type;

public:
    using handle_type = std::remove_pointer_t<kept>;
    using item = completed_handle<std::conditional_t<std::is_pointer_v<kept>, handle_type, handle_type const>>;

    // The next one to end; empty when all have been given. Throws timeout_error when the time is up and none is there
    // that had ended before. Cancelling it, like leaving, leaves the tasks alone.
    detail::next_completed<completed_handles> next() {
        if (timeout_) {
            this->set_deadline_once(*timeout_);
        }
        return detail::next_completed<completed_handles>(*this);
    }

    completed_handles(std::vector<kept>&& handles, std::optional<duration> timeout)
        : handles_(std::move(handles)), timeout_(timeout) {
        std::vector<std::size_t> const different = distinct();
        watchers_.allocate(different.size());
        for (std::size_t const index : different) {
            watchers_.emplace(static_cast<detail::completion_core&>(*this), index);
        }
        this->expect(different.size());
        for (watcher& each : watchers_) {
            if (!record(each.index)->watch(each)) {
                this->ended(each);
            }
        }
    }
    ~completed_handles() {
        for (watcher& each : watchers_) {
            if (!each.told) {
                (void)record(each.index)->unwatch(each);
            }
        }
    }

private:
    template <class>
    friend class detail::next_completed;

    class watcher final : public detail::watcher, public detail::completion_node {
    public:
        watcher(completion_core& to_tell, std::size_t its_index) noexcept : index(its_index), core_(to_tell) {}
        std::size_t index;
        bool told = false;  // the consumer's

    private:
        void task_ended(detail::spawned_base&) noexcept override { core_.ended(*this); }
        completion_core& core_;
    };

    detail::spawned_base* record(std::size_t index) const noexcept { return detail::waited_record(handles_[index]); }

    // Input indices of the tasks that are different from those before them.
    std::vector<std::size_t> distinct() const {
        std::vector<std::size_t> order(handles_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::sort(order, std::less<>(), [&](std::size_t i) { return std::pair(record(i), i); });
        auto const repeated = std::ranges::unique(order, std::equal_to<>(), [&](std::size_t i) { return record(i); });
        order.erase(repeated.begin(), repeated.end());
        std::ranges::sort(order);
        return order;
    }

    item item_of(detail::completion_node& node) noexcept {
        auto& ended = static_cast<watcher&>(node);
        ended.told = true;
        if constexpr (std::is_pointer_v<kept>) {
            return item(ended.index, *handles_[ended.index]);
        } else {
            return item(ended.index, handles_[ended.index]);
        }
    }

    std::vector<kept> handles_;
    std::optional<duration> timeout_;
    detail::fixed_block<watcher> watchers_;
};

// How as_completed() runs its tasks. All members are optional.
struct as_completed_options {
    // The most tasks that have been begun and whose results were not yet asked for; 0: all at once. With a limit the
    // next task is made (taken from the range) when a result was handed over, so the consumer's pace is the pace of
    // all.
    std::size_t limit = 0;
    std::optional<duration> timeout{};  // for the whole stream, from the co_await
};

// How as_completed() waits for the caller's tasks.
struct completed_handles_options {
    std::optional<duration> timeout{};  // for the whole stream, from the first next()
};

static_assert(std::is_trivially_destructible_v<as_completed_options> &&
              std::is_trivially_destructible_v<completed_handles_options>);

namespace detail {

template <class Stream, class Fn, class... Args>
concept completed_body = std::invocable<Fn, Stream&, Args...> && awaitable<std::invoke_result_t<Fn, Stream&, Args...>>;

struct as_completed_access {
    template <class R, class T, class Fn, class... Args>
    static task<T> run(as_completed_options options, R range, Fn fn, Args... args) {
        task_context& parent = *current_context();
        completed_tasks<R> stream(parent, std::forward<R>(range), options.limit);
        std::optional<stored_t<T>> result;
        std::exception_ptr error;
        try {
            if (options.timeout) {
                stream.set_deadline(deadline_in(*options.timeout));
            }
            stream.begin();
            if constexpr (std::is_void_v<T>) {
                co_await std::invoke(std::move(fn), stream, std::move(args)...);
            } else if constexpr (std::is_reference_v<T>) {
                T value = co_await std::invoke(std::move(fn), stream, std::move(args)...);
                result.emplace(std::addressof(value));
            } else {
                result.emplace(co_await std::invoke(std::move(fn), stream, std::move(args)...));
            }
        } catch (...) {
            error = std::current_exception();
        }
        stream.abandon(parent);
        try {
            stream.begin_rest();
        } catch (...) {
            stream.source_failed(std::current_exception());
        }
        co_await stream.all_ended();
        stream.drop_rest("as_completed: a task, or the range, failed and nobody asked");
        if (error) {
            std::rethrow_exception(std::move(error));
        }
        if constexpr (!std::is_void_v<T>) {
            co_return unstore<T>(std::move(*result));
        }
    }

    template <class R, class Fn, class... Args>
    static auto make(as_completed_options const& options, R&& range, Fn&& fn, Args&&... args) {
        using result =
            await_result_t<std::invoke_result_t<std::decay_t<Fn>, completed_tasks<R>&, std::decay_t<Args>...>>;
        return run<R, result, std::decay_t<Fn>, std::decay_t<Args>...>(
            options, std::forward<R>(range), std::forward<Fn>(fn), std::forward<Args>(args)...);
    }
};

}  // namespace detail

// Runs the tasks of a range, and a body that is given their results in the order in which they end:
//
//   co_await as_completed(std::move(tasks), [&](auto& s) -> task<> {
//       while (auto item = co_await s.next()) use(item->index, item->get()); }, {.limit = 8, .timeout = 2s});
//
// The range: as gather() takes it; an async_generator is run by a task of its own. The body, fn(stream, args...), runs
// in the awaiting task; as_completed gives what it gives and throws what it throws. However it is left, by its end, in
// the middle, by an error or a cancellation, every task that still runs is cancelled and has ended before as_completed
// returns; tasks that have not begun never begin. A result that nobody asked for is destroyed, an error goes to
// on_suppressed. fn, the arguments and what is left of the range live until then; tasks must not refer to the body's
// own variables. The tasks behind handles that were moved in run already: they are cancelled and joined also if their
// turn had not come. Of a container that is an lvalue, handles whose turn had not come are left alone.
//
// Several tasks may call next(); one that still waits there when the body leaves is woken with the end. After that no
// task may call it.
//
// A task's error is thrown by its item's get(), and nowhere else: nothing is cancelled by it. When the time is up
// next() throws timeout_error, after it has given what had ended before.
//
// Cancelling who awaits cancels the body, where it waits, and then the tasks. A request that comes while they unwind is
// passed on to them and stays pending.
template <class R, class Fn>
    requires(!std::same_as<std::remove_cvref_t<Fn>, completed_handles_options>)
auto as_completed(R&& range, Fn&& fn, as_completed_options options = {}) {
    static_assert(detail::gatherable_source<R>,
                  "as_completed(range, body) needs a range (or an async_generator) of tasks or other awaitables");
    if constexpr (detail::gatherable_source<R>) {
        constexpr bool fits = detail::completed_body<completed_tasks<R>, std::decay_t<Fn>>;
        static_assert(fits,
                      "as_completed(range, body) needs a body that can be called with the stream, as in "
                      "[](auto& s) -> task<>, and returns something awaitable");
        if constexpr (fits) {
            detail::check_closure<Fn>();
            return detail::as_completed_access::make(options, std::forward<R>(range), std::forward<Fn>(fn));
        } else {
            return detail::refused();
        }
    } else {
        return detail::refused();
    }
}
template <class R, class Fn, class... Args>
    requires(detail::gatherable_source<R> &&
             detail::completed_body<completed_tasks<R>, std::decay_t<Fn>, std::decay_t<Args>...>)
auto as_completed(as_completed_options options, R&& range, Fn&& fn, Args&&... args) {
    detail::check_closure<Fn>();
    return detail::as_completed_access::make(options, std::forward<R>(range), std::forward<Fn>(fn),
                                             std::forward<Args>(args)...);
}
template <class R, class Fn, class First, class... Rest>
    requires(detail::gatherable_source<R> &&
             detail::completed_body<completed_tasks<R>, std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>)
auto as_completed(R&& range, Fn&& fn, First&& first, Rest&&... rest) {
    detail::check_closure<Fn>();
    return detail::as_completed_access::make(as_completed_options{}, std::forward<R>(range), std::forward<Fn>(fn),
                                             std::forward<First>(first), std::forward<Rest>(rest)...);
}

// The same over tasks that run already, and stay the caller's:
//
//   auto s = as_completed(handles);
//   while (auto item = co_await s.next()) { item->handle is the caller's, item->index where it was, item->get() }
//
// handles: as wait() takes them; the same task given twice counts once. It owns nothing: leaving it, or being
// cancelled, leaves the tasks alone. The handles must stay where they are until it is gone; that of an item that was
// given may be moved from. It does not move itself.
template <class R>
    requires detail::waitable_range<R>
auto as_completed(R&& handles, completed_handles_options options = {}) {
    using element = std::ranges::range_reference_t<R>;
    using waited = detail::waited_item<element>;
    std::vector<typename waited::type> items;
    for (auto&& each : handles) {
        items.push_back(waited::from(static_cast<element&&>(each)));
    }
    return completed_handles<element>(std::move(items), options.timeout);
}

}  // namespace magpie
