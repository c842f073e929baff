#pragma once

#include <magpie/combinators/detail/batch_run.hpp>
#include <magpie/combinators/detail/batch_source.hpp>
#include <magpie/combinators/detail/task_awaiter.hpp>
#include <magpie/combinators/limiter.hpp>
#include <magpie/combinators/policy.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/combinators/retry.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/closure_check.hpp>

#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>

namespace magpie {

// batch: one function over many inputs, so many at a time.
//
//   auto values = co_await batch(urls, fetch, {.limit = 64});            in input order; void gives nothing, T& gives T*
//   auto outcomes = co_await batch(settled, urls, fetch, {.limit = 64}); outcome<T> for each; errors stop nothing
//   co_await batch_each(urls, fetch, {.limit = 64});                     no results: memory for `limit` items
//   co_await batch(urls, fetch, {.limit = shared_limiter, .retry = {.attempts = 3, .backoff = 50ms}})
//       .retry_if(worth_it).on_progress(show);
//
// The range may be lazy and endless: an input is taken when there is a place for it. An lvalue container is used in
// place and must outlive the batch; anything else is moved in. fn(input) returns an awaitable, which runs as a task of
// its own, on any worker, and may refer to the input. At most limit + 1 of them exist at a time.
// It may be an async_generator: a task of its own runs it, one input ahead; an error or a cancellation cancels it where
// it waits, and what it throws then is one of the later errors. What it yields by reference is copied if it can be. Its
// number is not known before its end, so the last call of the progress function may be without a total. A generator
// that is an lvalue may be gone on with afterwards; but if the batch ended early, an input that it had fetched ahead is
// lost.
// fn, the predicate and the progress function are called by the awaiting task, one at a time.
//
// An item fails if it throws or if its value is an expected-like (std::expected, io::result) without a value; both are
// tried again as the options say, and count as failed. Only a throw ends the batch: the others are cancelled, those
// that have not begun never begin, all have ended before the error is thrown; later errors go to on_suppressed. An
// expected-like stays among the results. An item that ends cancelled though nobody here asked it to has failed with
// child_cancelled, and is not tried again. What the range, the predicate or the progress function throws ends the batch
// in the same way, also under `settled`.
//
// Cancelling who awaits cancels the items, waits for all, and throws task_cancelled, also under `settled`; an item's
// error is thrown in preference, and the request stays pending. A request that comes when every item has ended finds
// the batch done.
//
// What batch() returns is move-only and lazy. Throws std::invalid_argument for options out of range; usage_error if it
// waits for a shared limit while the task that runs it is an item of another batch under the same limit.

// How a batch runs. All members are optional.
struct batch_options {
    limit_ref limit = 64;            // the most items at a time: a number, a semaphore or a limiter
    double rate = 0;                 // the most attempts begun in a second, evenly spaced; 0 = no bound
    retry_options retry{};           // of each item; while it pauses another one has its place
    duration per_item_timeout{};     // of each attempt, which fails with timeout_error; 0 = none
    bool expected_is_value = false;  // an expected-like without a value is a value like any other
};

struct batch_each_options {
    limit_ref limit = 64;
    double rate = 0;
    retry_options retry{};
    duration per_item_timeout{};
    bool expected_is_value = false;
    // wait_all: an error cancels nothing, also what has not begun runs; the first one is thrown in the end. settle:
    // errors are only counted.
    error_policy on_error = error_policy::cancel_rest;
};

// In a temporary with a member that has something to destroy, g++ 12 destroys that twice.
static_assert(std::is_trivially_destructible_v<batch_options> && std::is_trivially_destructible_v<batch_each_options>);

namespace detail {

template <class R, class Fn>
using batch_inputs_of = typename inputs_of<R, std::decay_t<Fn>>::type;

template <class R, class Fn>
concept batchable = input_source<R> && batch_inputs_of<R, Fn>::input::accepted;

// Refuses, in words, what batch() and its like cannot run.
template <class R, class Fn>
consteval bool checked_batch() {
    static_assert(input_source<R>, "a batch needs a range of inputs (or an async_generator), and then the function");
    if constexpr (input_source<R>) {
        constexpr bool fits = batch_inputs_of<R, Fn>::input::accepted;
        static_assert(fits,
                      "a batch needs a function that can be called with an element of the range and returns something "
                      "awaitable, such as a task; look at its parameter and at what it returns");
    }
    return batchable<R, Fn>;
}

template <class Options>
batch_settings settings_of(Options const& options) noexcept {
    batch_settings settings;
    settings.limits = {.count = options.limit.count(),
                       .shared = options.limit.shared(),
                       .control = options.limit.control(),
                       .rate = options.rate};
    settings.retry = options.retry;
    settings.timeout = options.per_item_timeout;
    settings.expected_is_value = options.expected_is_value;
    if constexpr (requires { options.on_error; }) {
        settings.cancels_rest = options.on_error == error_policy::cancel_rest;
        settings.throws = options.on_error != error_policy::settle;
    }
    return settings;
}

} // namespace detail

// What batch() and batch_each() return. Lazy, move-only.
template <detail::batch_mode Mode, class Inputs, class Fn, class Pred, class Progress>
class [[nodiscard("co_await it")]] batch_awaitable {
public:
    using result = detail::batch_result_t<typename Inputs::input::result, Mode>;

    batch_awaitable(Inputs&& inputs, Fn&& fn, Pred&& pred, Progress&& on_progress,
                    detail::batch_settings const& settings)
        : inputs_(std::move(inputs)), fn_(std::move(fn)), pred_(std::move(pred)), on_progress_(std::move(on_progress)),
          settings_(settings) {
        detail::check(settings_, Inputs::input::repeats);
    }

    // Asks pred(std::exception_ptr) before what was thrown is tried again, and pred(value) for what was returned (of
    // expected-likes, only for one without a value). What pred cannot take is treated as without it.
    template <class P>
    auto retry_if(P&& pred) && {
        detail::check_closure<P>();
        return batch_awaitable<Mode, Inputs, Fn, std::decay_t<P>, Progress>(
            std::move(inputs_), std::move(fn_), std::decay_t<P>(std::forward<P>(pred)), std::move(on_progress_),
            settings_);
    }
    // Calls f(progress const&) each time an item has ended for good.
    template <class F>
    auto on_progress(F&& f) && {
        detail::check_closure<F>();
        return batch_awaitable<Mode, Inputs, Fn, Pred, std::decay_t<F>>(
            std::move(inputs_), std::move(fn_), std::move(pred_), std::decay_t<F>(std::forward<F>(f)), settings_);
    }

    detail::task_awaiter<result> operator co_await() && {
        return detail::task_awaiter<result>(detail::run_batch<Mode, Inputs, Fn, Pred, Progress>(
            std::move(inputs_), std::move(fn_), std::move(pred_), std::move(on_progress_), settings_));
    }

private:
    Inputs inputs_;
    Fn fn_;
    Pred pred_;
    Progress on_progress_;
    detail::batch_settings settings_;
};

namespace detail {

template <batch_mode Mode, class R, class Fn, class Options>
auto make_batch(R&& range, Fn&& fn, Options const& options) {
    using inputs = batch_inputs_of<R, Fn>;
    return batch_awaitable<Mode, inputs, std::decay_t<Fn>, retry_all_failures, silent_progress>(
        inputs_of<R, std::decay_t<Fn>>::from(std::forward<R>(range)), std::decay_t<Fn>(std::forward<Fn>(fn)), {}, {},
        settings_of(options));
}

} // namespace detail

template <class R, class Fn>
auto batch(R&& range, Fn&& fn, batch_options options = {}) {
    if constexpr (detail::checked_batch<R, Fn>()) {
        detail::check_closure<Fn>();
        return detail::make_batch<detail::batch_mode::values>(std::forward<R>(range), std::forward<Fn>(fn), options);
    } else {
        return detail::refused();
    }
}

template <class R, class Fn>
auto batch(settled_t, R&& range, Fn&& fn, batch_options options = {}) {
    if constexpr (detail::checked_batch<R, Fn>()) {
        detail::check_closure<Fn>();
        return detail::make_batch<detail::batch_mode::outcomes>(std::forward<R>(range), std::forward<Fn>(fn), options);
    } else {
        return detail::refused();
    }
}

// As batch(), but values are dropped when their items end: memory does not grow with the number of inputs.
template <class R, class Fn>
auto batch_each(R&& range, Fn&& fn, batch_each_options options = {}) {
    if constexpr (detail::checked_batch<R, Fn>()) {
        detail::check_closure<Fn>();
        return detail::make_batch<detail::batch_mode::nothing>(std::forward<R>(range), std::forward<Fn>(fn), options);
    } else {
        return detail::refused();
    }
}

} // namespace magpie
