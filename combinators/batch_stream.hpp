#pragma once

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/completed_item.hpp>
#include <magpie/combinators/detail/batch_run.hpp>
#include <magpie/combinators/detail/task_awaiter.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace magpie {

// The inside of batch_stream(): the results of its items, in the order in which they end. Lives as long as the block.
// For the body itself, not for tasks that it begins: they get usage_error.
template <class T>
class batch_results {
public:
    using value_type = T;
    using item = completed_item<T>;

    batch_results(batch_results const&) = delete;
    batch_results& operator=(batch_results const&) = delete;

    // Starts what may start, and gives the result of the next item to end; empty when all have been given. Under
    // .on_error = settle an item that failed is given like any other, and its get() throws. Else what an item threw is
    // thrown by next(), when all have ended, after the results that were there before: after it nothing more comes.
    // A request to cancel the task that waits here is passed on to the items; task_cancelled when all have ended. So a
    // request, also a timeout() around next(), ends the stream: nothing more begins, results that were there before are
    // still given, then comes the end. If an item ends with a value in spite of the request, and the request is taken
    // back, that value is given, and what is missing shows as one child_cancelled, thrown by the next() that has
    // nothing else to give.
    virtual task<std::optional<item>> next() = 0;

protected:
    batch_results() = default;
    ~batch_results() = default;
};

// As batch_each_options. Under wait_all, items that failed are left out, and the first error is thrown in the end.
using batch_stream_options = batch_each_options;

namespace detail {

[[noreturn]] void throw_not_the_body();

template <class Run, class T>
class batch_stream_results final : public batch_results<T> {
public:
    explicit batch_stream_results(Run& run) noexcept : run_(run) {}

    task<std::optional<completed_item<T>>> next() override {
        if (current_context() != &run_.parent()) {
            throw_not_the_body();
        }
        for (;;) {
            bool const over = run_.turn();
            auto item = run_.take_item();
            if (item) {
                (void)run_.turn();  // another one runs while this one is used
                while (!run_.give_up_place()) {
                    co_await run_.some_event();
                    run_.take_events();
                }
                co_return item;
            }
            if (over) {
                break;
            }
            co_await run_.some_event();
        }
        run_.result();
        co_return std::nullopt;
    }

private:
    Run& run_;
};

// The consumer and its arguments.
template <class Body, class... Args>
class stream_consumer {
public:
    template <class B, class... As>
    explicit stream_consumer(std::in_place_t, B&& body, As&&... args)
        : body_(std::forward<B>(body)), args_(std::forward<As>(args)...) {}

    template <class Stream>
    decltype(auto) operator()(Stream& stream) {
        return std::apply(
            [&](Args&... each) -> decltype(auto) { return std::invoke(std::move(body_), stream, std::move(each)...); },
            args_);
    }

private:
    Body body_;
    [[no_unique_address]] std::tuple<Args...> args_;
};

template <class T, class Inputs, class Fn, class Pred, class Progress, class Consumer>
task<T> run_batch_stream(Inputs inputs, Fn fn, Pred pred, Progress on_progress, batch_settings settings,
                         Consumer consumer) {
    using state = batch_run<batch_mode::stream, Inputs, Fn, Pred, Progress>;
    state run(inputs, fn, pred, on_progress, settings);
    batch_stream_results<state, typename Inputs::input::result> results(run);
    batch_results<typename Inputs::input::result>& stream = results;
    std::optional<stored_t<T>> value;
    std::exception_ptr error;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await consumer(stream);
        } else if constexpr (std::is_reference_v<T>) {
            T referred = co_await consumer(stream);
            value.emplace(std::addressof(referred));
        } else {
            value.emplace(co_await consumer(stream));
        }
    } catch (...) {
        error = std::current_exception();
    }
    run.abandon();
    while (!run.turn()) {
        co_await run.some_event();
    }
    run.drop_rest();
    if (error) {
        std::rethrow_exception(std::move(error));
    }
    if constexpr (!std::is_void_v<T>) {
        co_return unstore<T>(std::move(*value));
    }
}

template <class R, class Fn, class Consumer, class... Args>
concept batch_consumer =
    batchable<R, Fn> &&
    std::invocable<Consumer, batch_results<typename batch_inputs_of<R, Fn>::input::result>&, Args...> &&
    awaitable<std::invoke_result_t<Consumer, batch_results<typename batch_inputs_of<R, Fn>::input::result>&, Args...>>;

// Refuses, in words, what batch_stream() cannot run.
template <class R, class Fn, class Consumer, class... Args>
consteval bool checked_stream() {
    if constexpr (checked_batch<R, Fn>()) {
        static_assert(batch_consumer<R, Fn, Consumer, Args...>,
                      "batch_stream needs a consumer that can be called with (batch_results<T>&, args...), T being what "
                      "the function gives, and returns something awaitable, such as a task");
    }
    return batch_consumer<R, Fn, Consumer, Args...>;
}

}  // namespace detail

// What batch_stream() returns. Lazy, move-only.
template <class Inputs, class Fn, class Pred, class Progress, class Consumer>
class [[nodiscard("co_await it")]] batch_stream_awaitable {
public:
    using result = await_result_t<std::invoke_result_t<Consumer&, batch_results<typename Inputs::input::result>&>>;

    batch_stream_awaitable(Inputs&& inputs, Fn&& fn, Pred&& pred, Progress&& on_progress,
                           detail::batch_settings const& settings, Consumer&& consumer)
        : inputs_(std::move(inputs)),
          fn_(std::move(fn)),
          pred_(std::move(pred)),
          on_progress_(std::move(on_progress)),
          settings_(settings),
          consumer_(std::move(consumer)) {
        detail::check(settings_, Inputs::input::repeats);
    }

    // As those of batch().
    template <class P>
    auto retry_if(P&& pred) && {
        detail::check_closure<P>();
        return batch_stream_awaitable<Inputs, Fn, std::decay_t<P>, Progress, Consumer>(
            std::move(inputs_), std::move(fn_), std::decay_t<P>(std::forward<P>(pred)), std::move(on_progress_),
            settings_, std::move(consumer_));
    }
    template <class F>
    auto on_progress(F&& f) && {
        detail::check_closure<F>();
        return batch_stream_awaitable<Inputs, Fn, Pred, std::decay_t<F>, Consumer>(
            std::move(inputs_), std::move(fn_), std::move(pred_), std::decay_t<F>(std::forward<F>(f)), settings_,
            std::move(consumer_));
    }

    detail::task_awaiter<result> operator co_await() && {
        return detail::task_awaiter<result>(detail::run_batch_stream<result, Inputs, Fn, Pred, Progress, Consumer>(
            std::move(inputs_), std::move(fn_), std::move(pred_), std::move(on_progress_), settings_,
            std::move(consumer_)));
    }

private:
    Inputs inputs_;
    Fn fn_;
    Pred pred_;
    Progress on_progress_;
    detail::batch_settings settings_;
    Consumer consumer_;
};

namespace detail {

template <class R, class Fn, class Consumer>
auto make_batch_stream(batch_stream_options const& options, R&& range, Fn&& fn, Consumer&& consumer) {
    using inputs = batch_inputs_of<R, Fn>;
    return batch_stream_awaitable<inputs, std::decay_t<Fn>, retry_all_failures, silent_progress, Consumer>(
        inputs_of<R, std::decay_t<Fn>>::from(std::forward<R>(range)), std::decay_t<Fn>(std::forward<Fn>(fn)), {}, {},
        settings_of(options), std::move(consumer));
}

}  // namespace detail

// As batch(), but a consumer is given the results as the items end, and sets the pace:
//
//   co_await batch_stream(urls, fetch, [&](auto& s) -> task<> {
//       while (auto item = co_await s.next()) use(item->index, item->get()); }, {.limit = 64});
//
// The consumer, consumer(stream, args...) with a batch_results<T>&, runs in the awaiting task; batch_stream gives what
// it gives and throws what it throws. Items begin inside next() only: at most `limit` of them run, or have a result
// that was not asked for, at any time, and while the consumer does something else those that run go on but none begins,
// nor is one tried again. It holds no place of a shared limit for an item that has not begun.
//
// An item's error cancels the others and is thrown by next() (.on_error says otherwise; see batch_results). However the
// consumer is left, the items that run are cancelled, and have ended, before batch_stream returns; those that have not
// begun never begin. Results that nobody asked for are destroyed, errors go to on_suppressed.
//
// Cancelling who awaits cancels the consumer, where it waits, or if that is next(), the items.
template <class R, class Fn, class Consumer>
    requires(!std::same_as<std::remove_cvref_t<R>, batch_stream_options>)
auto batch_stream(R&& range, Fn&& fn, Consumer&& consumer, batch_stream_options options = {}) {
    if constexpr (detail::checked_stream<R, Fn, std::decay_t<Consumer>>()) {
        detail::check_closure<Fn>();
        detail::check_closure<Consumer>();
        return detail::make_batch_stream(
            options, std::forward<R>(range), std::forward<Fn>(fn),
            detail::stream_consumer<std::decay_t<Consumer>>(std::in_place, std::forward<Consumer>(consumer)));
    } else {
        return detail::refused();
    }
}
template <class R, class Fn, class Consumer, class... Args>
auto batch_stream(batch_stream_options options, R&& range, Fn&& fn, Consumer&& consumer, Args&&... args) {
    if constexpr (detail::checked_stream<R, Fn, std::decay_t<Consumer>, std::decay_t<Args>...>()) {
        detail::check_closure<Fn>();
        detail::check_closure<Consumer>();
        using held = detail::stream_consumer<std::decay_t<Consumer>, std::decay_t<Args>...>;
        return detail::make_batch_stream(
            options, std::forward<R>(range), std::forward<Fn>(fn),
            held(std::in_place, std::forward<Consumer>(consumer), std::forward<Args>(args)...));
    } else {
        return detail::refused();
    }
}

}  // namespace magpie
