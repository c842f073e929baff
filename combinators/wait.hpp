#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/wait_core.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/join_handle.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

// All members are optional. A timeout of zero or less gives every ready task of this worker one turn.
struct wait_options {
    wait_until until = wait_until::all_completed;
    std::optional<duration> timeout{};
};

// How a wait() ended: every task is in exactly one of the two, in the order in which it was given. `Item` points at the
// caller's handle, or is the handle_ref that was given.
template <class Item>
struct wait_result {
    std::vector<Item> done{};               // those that have ended, by value, error or cancellation
    std::vector<Item> pending{};            // the others; they go on
    std::vector<std::size_t> done_index{};  // where they were in the input
    std::vector<std::size_t> pending_index{};
    bool timed_out = false;  // the time was up before the condition held
};

namespace detail {

template <class E>
concept handle_lvalue = std::is_lvalue_reference_v<E> && task_handle<E>;
template <class E>
concept handle_pointer =
    std::is_pointer_v<std::remove_cvref_t<E>> && task_handle<std::remove_pointer_t<std::remove_cvref_t<E>>>;
template <class E>
concept reference_handle = std::same_as<std::remove_cvref_t<E>, handle_ref>;

// What a wait_result tells of an element.
template <class E>
struct waited_item {
    using type = std::remove_cvref_t<E>;
    static type from(E element) { return element; }
};
template <handle_lvalue E>
struct waited_item<E> {
    using type = std::remove_reference_t<E>*;
    static type from(E element) noexcept { return std::addressof(element); }
};

inline spawned_base* waited_record(handle_ref const& item) noexcept {
    return &item.record();
}
template <class H>
spawned_base* waited_record(H* item) noexcept {
    return &item->record();
}

// Its elements outlive the call: an lvalue range, a view of handles elsewhere, or pointers and references by value.
template <class R>
concept waitable_range =
    std::ranges::input_range<R> &&
    (handle_pointer<std::ranges::range_reference_t<R>> || reference_handle<std::ranges::range_reference_t<R>> ||
     (handle_lvalue<std::ranges::range_reference_t<R>> &&
      (std::is_lvalue_reference_v<R> || std::ranges::view<std::remove_cvref_t<R>>)));

template <class R>
concept range_of_tasks = std::ranges::input_range<R> && is_task<std::remove_cvref_t<std::ranges::range_reference_t<R>>>;

template <class Item>
class wait_awaiter final : public wait_core {
public:
    wait_awaiter(std::vector<Item>&& items, wait_options const& options)
        : wait_core(options.until, options.timeout), items_(std::move(items)) {
        std::vector<spawned_base*> tasks;
        tasks.reserve(items_.size());
        for (Item const& each : items_) {
            tasks.push_back(waited_record(each));
        }
        set_tasks(tasks);
    }

    wait_result<Item> await_resume() {
        wait_result<Item> result;
        result.timed_out = finish();
        for (std::size_t const index : distinct()) {
            bool const ended = waited_record(items_[index])->ended();
            (ended ? result.done : result.pending).push_back(items_[index]);
            (ended ? result.done_index : result.pending_index).push_back(index);
        }
        return result;
    }

private:
    std::vector<Item> items_;
};

}  // namespace detail

// What wait() returns.
template <class Item>
class [[nodiscard("co_await it")]] wait_awaitable {
public:
    wait_awaitable(std::vector<Item> items, wait_options const& options) noexcept
        : items_(std::move(items)), options_(options) {}
    detail::wait_awaiter<Item> operator co_await() && { return {std::move(items_), options_}; }

private:
    std::vector<Item> items_;
    wait_options options_;
};

// Waits until the tasks behind the handles have ended, or the first, or the time is up, and tells who has and who has
// not. It owns none of them: it never cancels, never throws what they threw, and does not count as looking at an error.
// Cancelling who waits leaves them alone.
//
// handles: an lvalue range (or a view) of handles, or any range of pointers to handles or of handle_ref, which may mix
// value types. The handles must not move or die meanwhile. The same task given twice counts once, where it came first.
// No handles: std::invalid_argument, from the co_await. `pending` of one result can be given to the next wait().
template <class R>
    requires detail::waitable_range<R>
auto wait(R&& handles, wait_options options = {}) {
    using item = detail::waited_item<std::ranges::range_reference_t<R>>;
    std::vector<typename item::type> items;
    if constexpr (std::ranges::sized_range<R>) {
        items.reserve(static_cast<std::size_t>(std::ranges::size(handles)));
    }
    for (auto&& each : handles) {
        items.push_back(item::from(static_cast<std::ranges::range_reference_t<R>&&>(each)));
    }
    return wait_awaitable<typename item::type>(std::move(items), options);
}

// A task cannot be recognised in the result.
template <class R>
    requires detail::range_of_tasks<R>
auto wait(R&&, wait_options = {}) {
    static_assert(detail::always_false<R>,
                  "wait() takes handles: spawn the tasks first, and wait for what spawn() gives");
    return detail::refused();
}
template <class H>
    requires detail::task_handle<H>
auto wait(H&&, wait_options = {}) {
    static_assert(detail::always_false<H>, "wait() takes a range of handles: for a single one wait(std::array{&h})");
    return detail::refused();
}

}  // namespace magpie
