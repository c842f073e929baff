#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_range.hpp>
#include <magpie/combinators/detail/success_race.hpp>
#include <magpie/combinators/detail/task_awaiter.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <exception>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

// How first_success() begins its candidates.
struct first_success_options {
    // The next candidate begins when the one begun last has failed, or has run for so long. 0: all begin at once.
    // duration::max(): one after the other.
    duration stagger{};
};

static_assert(std::is_trivially_destructible_v<first_success_options>);

// Who won.
template <class T>
class first_success_result {
public:
    using value_type = detail::stored_t<T>;

    first_success_result(std::size_t of_winner, value_type&& its_value, std::vector<std::exception_ptr>&& before)
        : index(of_winner), value(std::move(its_value)), errors(std::move(before)) {}

    std::size_t index;  // of the candidate that succeeded
    value_type value;   // what it gave: void is std::monostate, T& is T*
    // By candidate, those that had begun: what the ones threw that failed before; null for the others.
    std::vector<std::exception_ptr> errors;
};

namespace detail {

template <class R, class T>
task<first_success_result<T>> race_candidates(R range, duration stagger) {
    success_race<T> race(*current_context(), stagger);
    try {
        auto next = std::ranges::begin(range);
        auto const last = std::ranges::end(range);
        bool first = true;
        for (; !race.over(); first = false) {
            if (!first) {
                ++next;  // as late as this: in a generator it makes the next task
            }
            if (next == last) {
                race.no_more();
                break;
            }
            race.begin(as_child<false>(static_cast<range_argument_t<R>&&>(*next)));
            while (!race.over() && !race.next_is_due()) {
                race.take(co_await race.next());
            }
        }
        if constexpr (owns_handles<R>) {
            if (!first && next != last) {
                ++next;
            }
            for (; next != last; ++next) {
                race.begin_to_join(as_child<false>(static_cast<range_argument_t<R>&&>(*next)));
            }
        }
    } catch (...) {
        race.source_failed(std::current_exception());
    }
    while (!race.over()) {
        race.take(co_await race.next());
    }
    race.stop();
    co_await race.all_ended();
    std::size_t const winner = race.conclude();
    co_return first_success_result<T>(winner, race.take_value(), race.take_errors());
}

template <class R>
class [[nodiscard("co_await it")]] first_success_awaitable {
    using value = child_value_t<false, range_argument_t<R>>;
    using result = first_success_result<value>;

public:
    first_success_awaitable(R&& range, duration stagger) : range_(std::forward<R>(range)), stagger_(stagger) {}

    task_awaiter<result> operator co_await() && {
        return task_awaiter<result>(race_candidates<R, value>(std::forward<R>(range_), stagger_));
    }

private:
    R range_;
    duration stagger_;
};

}  // namespace detail

// Tries several ways to the same end and gives the value of the first that succeeds; the others are cancelled, and have
// ended, before it returns:
//
//   auto x = co_await first_success(connections, {.stagger = 250ms});    x.index, x.value, x.errors
//
// The range: as gather() takes it. A candidate is made (taken from the range) when its turn has come: the first at
// once, the next when the one begun last has failed or has run for the time of the stagger. A candidate that was
// cancelled by somebody else has failed with child_cancelled. If two succeed at about the same time the one that ended
// first wins; the value of the other is destroyed. Errors of losers go to on_suppressed.
//
// If none succeeds: exception_group with the errors of all, in the order of the candidates; without candidates that
// group is empty. What the range throws ends the race: the others are cancelled and joined, and it is thrown.
//
// A candidate behind a handle that was moved in runs already: it is cancelled and joined also if its turn had not come.
// Of a container that is an lvalue, handles whose turn had not come are left alone.
//
// Cancelling who awaits begins no other candidate, cancels those that run, waits for them and throws task_cancelled;
// each further request is passed on. If one succeeds all the same its value counts, and the request stays pending.
//
// What it returns is move-only and lazy; dropping it un-awaited destroys the tasks un-started. Throws
// std::invalid_argument for a negative stagger.
template <class R>
auto first_success(R&& range, first_success_options options = {}) {
    static_assert(detail::gatherable_range<R>,
                  "first_success() needs a range of tasks, of handles or of other awaitables: put them into a vector");
    if constexpr (detail::gatherable_range<R>) {
        if (options.stagger < duration::zero()) {
            throw std::invalid_argument("first_success() needs a stagger of zero or more");
        }
        return detail::first_success_awaitable<R>(std::forward<R>(range), options.stagger);
    } else {
        return detail::refused();
    }
}

}  // namespace magpie
