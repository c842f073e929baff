#pragma once

#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_generated.hpp>
#include <magpie/combinators/detail/gather_pack.hpp>
#include <magpie/combinators/detail/gather_range.hpp>
#include <magpie/combinators/detail/generator_source.hpp>
#include <magpie/combinators/policy.hpp>
#include <magpie/combinators/progress.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace magpie {

// gather: runs several tasks at once and gives their results in the order of the arguments, not of their ends.
//
//   auto [a, b] = co_await gather(f(1), g(2));               tuple: void gives std::monostate, T& gives T*
//   std::vector<T> v = co_await gather(std::move(tasks));    a container that is moved in, a view, a generator
//   auto o = co_await gather(settled, ...);                  outcome<T> in place of T; no task's error is thrown
//   co_await gather(wait_all, ...);                          as the first two, but an error cancels nothing
//   co_await gather(std::move(tasks), {.limit = 64});        at most 64 at a time
//
// Arguments: anything awaitable, moved in; an lvalue handle stays the caller's and gives a pointer to its value (under
// `settled` a copied outcome). A range of nothing, or of void, gives an empty vector, or nothing.
//
// The first task that fails cancels the others; all of them have ended, and their frames are gone, before the error is
// thrown, as the type it has. Which one is first, if several fail, is decided by the order of their ends; the later
// errors go to on_suppressed. A task that ends cancelled though nobody here asked it to has failed: child_cancelled.
// A task that has not begun when an error or a cancellation comes never begins (unless another worker just took it).
// The task behind a join_handle, also one in a timeout(), has begun: it is cancelled and waited for like the others,
// also if the range throws after it has given the handle, and with a limit also if its turn had not come. (A view that
// makes handles as it is read is not read any further.)
//
// Cancelling who awaits cancels every task, waits for all, and then throws task_cancelled, even if the tasks ended with
// values, and also under `settled`; a task's error is thrown in preference, and the request stays pending. A request
// that comes when all tasks have ended finds the gather done: it gives its results.
//
// A range of more than 64 tasks is read while tasks of it run, about 64 ahead: in the awaiting task, one call at a time,
// perhaps on one worker after the other. So tasks that end soon take little memory, however many they are. After an error
// or a request the rest of it is not read; what it throws ends the gather as a task's error does. (A shorter range, one of
// handles, that of a pinned task, and any under the simulated clock is read to its end before the first task runs; what it
// throws then comes before any has begun.)
//
// A range may be an async_generator: its tasks are started as it gives them, in a task of its own that runs it until
// its end; what it throws ends the gather. An error, or a cancellation, cancels the generator too, where it waits.
//
// .on_progress(f), of a range or generator: f(progress const&) each time a task has ended (progress.hpp).
//
// What gather returns is move-only and lazy; its state lies in the awaiting frame (for a range, with a block of records
// for every 64 tasks that are alive). Dropping it un-awaited destroys the tasks un-started.

// How gather runs a range.
struct gather_options {
    // The most tasks at a time; 0: all at once. With a limit a task is made (taken from the range) when its turn has
    // come, by the awaiting task, so that at most limit + 1 frames are alive.
    std::size_t limit = 0;
};

template <class... As>
    requires(detail::gatherable<As> && ...)
auto gather(As&&... awaitables) {
    return detail::make_gather_pack<false>(true, detail::as_child<false>(std::forward<As>(awaitables))...);
}
template <class... As>
    requires(detail::gatherable<As> && ...)
auto gather(settled_t, As&&... awaitables) {
    return detail::make_gather_pack<true>(false, detail::as_child<true>(std::forward<As>(awaitables))...);
}
// `policy` is wait_all or cancel_rest.
template <class... As>
    requires(detail::gatherable<As> && ...)
auto gather(error_policy policy, As&&... awaitables) {
    return detail::make_gather_pack<false>(policy == error_policy::cancel_rest,
                                           detail::as_child<false>(std::forward<As>(awaitables))...);
}

namespace detail {
template <class A>
concept gather_word = std::is_same_v<std::remove_cvref_t<A>, settled_t> ||
                      std::is_same_v<std::remove_cvref_t<A>, error_policy> ||
                      std::is_same_v<std::remove_cvref_t<A>, gather_options>;
template <class A>
concept not_gatherable = !gatherable<A> && !gatherable_source<A> && !gather_word<A>;
}  // namespace detail

template <class... As>
    requires(detail::not_gatherable<As> || ...)
auto gather(As&&...) {
    static_assert((!detail::not_gatherable<As> && ...),
                  "gather() needs arguments that can be awaited, or a range or generator of them; call the functions "
                  "that give the tasks");
    return detail::refused();
}

template <class R>
    requires detail::gatherable_range<R>
auto gather(R&& range, gather_options options = {}) {
    return detail::gather_range_awaitable<R, false>(true, std::forward<R>(range), options.limit);
}
template <class R>
    requires detail::gatherable_range<R>
auto gather(settled_t, R&& range, gather_options options = {}) {
    return detail::gather_range_awaitable<R, true>(false, std::forward<R>(range), options.limit);
}
template <class R>
    requires detail::gatherable_range<R>
auto gather(error_policy policy, R&& range, gather_options options = {}) {
    return detail::gather_range_awaitable<R, false>(policy == error_policy::cancel_rest, std::forward<R>(range),
                                                    options.limit);
}

template <class G>
    requires detail::gatherable_generator<G>
auto gather(G&& generator, gather_options options = {}) {
    return detail::gather_generated_awaitable<G, false>(true, std::forward<G>(generator), options.limit);
}
template <class G>
    requires detail::gatherable_generator<G>
auto gather(settled_t, G&& generator, gather_options options = {}) {
    return detail::gather_generated_awaitable<G, true>(false, std::forward<G>(generator), options.limit);
}
template <class G>
    requires detail::gatherable_generator<G>
auto gather(error_policy policy, G&& generator, gather_options options = {}) {
    return detail::gather_generated_awaitable<G, false>(policy == error_policy::cancel_rest, std::forward<G>(generator),
                                                        options.limit);
}

}  // namespace magpie
