#pragma once

// The inputs of a batch when an async_generator gives them: one at a time is fetched, by a task of its own, which ends
// with the input or with the generator's end. The driver looks, and goes on with other things until it is there.

#include <magpie/combinators/detail/batch_core.hpp>
#include <magpie/combinators/detail/batch_input.hpp>
#include <magpie/combinators/detail/gather_range.hpp>
#include <magpie/combinators/detail/generator_source.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

namespace magpie::detail {

template <class Item>
class input_fetch final : public task_context {
public:
    explicit input_fetch(batch_core& of_batch) noexcept : task_context(&input_fetch::finished), batch(&of_batch) {}

    batch_core* batch;
    result_slot<Item> result;  // empty if it was cancelled before it began

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<input_fetch&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<Item>>::from_address(self.handle.address());
        if (kind == finish_kind::ran) {
            try {
                self.result.take(frame.promise().result());
            } catch (...) {  // the input's move constructor
                self.result.set_error(std::current_exception());
            }
        }
        frame.destroy();
        self.batch->fetched();
        return std::noop_coroutine();
    }
};

template <generator_source G, class Fn>
class generated_inputs {
    using argument = generated_argument_t<G>;
    using item = generated_t<argument>;
    using fetch = input_fetch<item>;

public:
    // What a reference refers to is gone, or another, when the generator goes on: it is copied.
    using input = batch_input<argument, false, false, Fn>;

    explicit generated_inputs(G&& generator) : generator_(std::forward<G>(generator)) {}

    // `asked`: the batch was asked to end, and nothing more is fetched. Throws what the generator threw.
    input_state look(batch_core& batch, bool asked) {
        if (next_) {
            return input_state::ready;
        }
        if (over_) {
            return input_state::none_left;
        }
        if (fetch_ == nullptr) {
            if (!asked) {
                fetch_ = std::make_unique<fetch>(batch);
                begin(batch);
            }
            return input_state::coming;
        }
        if (batch.fetching()) {
            return input_state::coming;
        }
        take_fetched(asked);
        return look(batch, asked);
    }
    // Nothing more is wanted, and no fetch runs. What the last one threw, if that was an error of its own.
    std::exception_ptr drop_fetched() noexcept {
        std::unique_ptr<fetch> const ended = std::move(fetch_);
        if (!ended || !ended->result.has_error() || is_cancellation(ended->result.error())) {
            return nullptr;
        }
        over_ = true;
        return std::move(ended->result.error());
    }
    // After it was ready.
    void take_next(input& into) {
        item given = std::exchange(next_, item());
        into.take(generated_element<G>(given));
    }
    std::optional<std::size_t> size() const noexcept { return std::nullopt; }

private:
    void begin(batch_core& batch) {
        task<item> body = as_task(generator_.get().next());
        auto const frame = release_frame(std::move(body));
        frame.promise().run_as(*fetch_);
        batch.start_fetch(*fetch_, frame);
    }

    void take_fetched(bool asked) {
        std::unique_ptr<fetch> const ended = std::move(fetch_);
        if (!ended->result.has_value()) {
            over_ = true;
            bool const cancelled = !ended->result.has_error() || is_cancellation(ended->result.error());
            if (cancelled && asked) {
                return;
            }
            std::rethrow_exception(cancelled ? child_cancelled_ptr() : std::move(ended->result.error()));
        }
        next_ = std::move(ended->result.value());
        over_ = !next_;
    }

    held_range<G> generator_;
    std::unique_ptr<fetch> fetch_;
    item next_{};
    bool over_ = false;
};

template <class R, class Fn>
struct inputs_of {
    using type = batch_inputs<std::views::all_t<R>,
                              !std::is_lvalue_reference_v<R> && !std::ranges::view<std::remove_cvref_t<R>>, Fn>;
    static type from(R&& range) { return type(std::views::all(std::forward<R>(range))); }
};
template <generator_source G, class Fn>
struct inputs_of<G, Fn> {
    using type = generated_inputs<G, Fn>;
    static type from(G&& generator) { return type(std::forward<G>(generator)); }
};

template <class R>
concept input_source = generator_source<R> || (std::ranges::input_range<R> && std::ranges::viewable_range<R>);

}  // namespace magpie::detail
