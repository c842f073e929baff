#pragma once

// The two streams of as_completed(): one owns its tasks, one watches the caller's.

#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/combinators/detail/deadline_scope.hpp>
#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/combinators/detail/gather_range.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/outcome.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

// What a stream's next() gives for a task of its own: which one it was, and how it ended.
template <class T>
class completed_item {
public:
    completed_item(std::size_t its_index, outcome<T>&& how) : index(its_index), result(std::move(how)) {}

    std::size_t index;  // of the task in the input
    outcome<T> result;

    // The value, moved out, or throws what the task threw; child_cancelled if it was cancelled.
    T get() { return std::move(result).value(); }
};

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

namespace detail {

struct as_completed_access;

template <class T>
class completed_child final : public completion_child {
public:
    completed_child(task<T>&& body, std::size_t its_index) noexcept
        : completion_child(&completed_child::finished, its_index) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from
        frame.promise().run_as(*this);
        handle = frame;
    }

    outcome<T>&& take() noexcept { return slot_.take(); }
    outcome<T> const& result() const noexcept { return slot_.peek(); }
    std::exception_ptr failure() const noexcept override {
        return slot_.peek().cancelled() ? nullptr : slot_.peek().error();
    }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<completed_child&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        store_result<true, T>(self.slot_, kind == finish_kind::ran ? &frame.promise().result() : nullptr);
        frame.destroy();
        self.core->ended(self);
        return std::noop_coroutine();
    }

    outcome_slot<T> slot_;
};

// What next() of a stream gives: Stream::item_of() makes the item of a node.
template <class Stream>
class [[nodiscard("co_await it")]] next_completed {
    class awaiter final : public completion_waiter {
    public:
        explicit awaiter(Stream& stream) noexcept : completion_waiter(stream), stream_(stream) {}
        std::optional<typename Stream::item> await_resume() {
            completion_node* const node = check();
            if (node == nullptr) {
                return std::nullopt;
            }
            return std::optional<typename Stream::item>(stream_.item_of(*node));
        }

    private:
        Stream& stream_;
    };

public:
    explicit next_completed(Stream& stream) noexcept : stream_(&stream) {}
    awaiter operator co_await() const noexcept { return awaiter(*stream_); }

private:
    Stream* stream_;
};

}  // namespace detail

// The inside of as_completed(range, body): its tasks, in the order in which they end. Lives as long as the block. Several
// tasks of the block may call next() at once, also on several workers: who came first is served first, each item goes to
// one of them.
template <class R>
class completed_tasks final : private detail::completion_core {
    using task_value = detail::child_value_t<true, detail::range_argument_t<R>>;
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

    completed_tasks(detail::task_context& parent, R&& range, std::size_t limit)
        : parent_(parent), range_(std::forward<R>(range)) {
        feed_up_to(limit == 0 ? std::numeric_limits<std::size_t>::max() : limit);
    }

    bool start_one() override {
        auto& source = range_.get();
        if (!at_) {
            at_.emplace(std::ranges::begin(source));
        } else {
            ++*at_;  // as late as this: in a generator it makes the next task
        }
        if (*at_ == std::ranges::end(source)) {
            return false;
        }
        auto body = detail::as_child<true>(static_cast<detail::range_argument_t<R>&&>(**at_));
        start(parent_, *new child(std::move(body), begun_));
        ++begun_;
        return true;
    }

    item item_of(detail::completion_node& node) {
        auto& ended = static_cast<child&>(static_cast<detail::completion_child&>(node));
        item result(ended.index, ended.take());
        release(ended);
        feed();
        return result;
    }

    detail::task_context& parent_;
    detail::held_range<R> range_;
    std::optional<std::ranges::iterator_t<std::remove_reference_t<R>>> at_;
    std::size_t begun_ = 0;
};

// What as_completed(handles) returns: the caller's tasks, in the order in which they end. Those that had ended before it
// was made come first, in input order. Does not move; the handles must not move or die before it.
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
            this->set_deadline(detail::deadline_in(*std::exchange(timeout_, std::nullopt)));
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
        auto const repeated =
            std::ranges::unique(order, std::equal_to<>(), [&](std::size_t i) { return record(i); });
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

}  // namespace magpie
