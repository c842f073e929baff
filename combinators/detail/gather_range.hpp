#pragma once

// gather of a range, all children at once. Long ranges go another way, gather_flow.hpp, and so does a limit or a progress
// report: gather_bounded.hpp.

#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_bounded.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/combinators/detail/gather_flow.hpp>
#include <magpie/combinators/detail/task_buffer.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/current.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

// Runs every task of a range at once. The records lie in one block, which is all that is allocated.
template <class R, bool Settled, class Progress>
class gather_range_awaiter final : public gather_join {
    using value = child_value_t<Settled, range_argument_t<R>>;
    using record = gather_child<value, Settled>;
    using result = gathered_range_t<value, Settled>;
    using inner_task = task<result>;
    using inner_awaiter = decltype(std::declval<inner_task>().operator co_await());

    // Handles' tasks run already: when one fails, all have to be asked to end, also those that have had no turn.
    static constexpr bool may_flow = !joins_task<std::remove_cvref_t<range_argument_t<R>>>;

public:
    gather_range_awaiter(bool cancel_rest, R&& range, std::size_t limit, Progress&& on_progress)
        : gather_join(cancel_rest), range_(std::forward<R>(range)), cancel_rest_(cancel_rest) {
        if (limit != 0 || !std::is_same_v<Progress, no_progress>) {
            run_inside(gather_bounded<value, Settled, R, Progress>(std::forward<R>(range_.get()), limit, cancel_rest,
                                                                   std::move(on_progress)));
        }
    }

    // Calling the range's own code, here and not earlier, makes an error in it an error of this await.
    bool await_ready() {
        if (inner_awaiter_) {
            return false;
        }
        if (std::exception_ptr error = collect()) {
            if (std::ranges::none_of(records_, &record::has_started)) {
                std::rethrow_exception(std::move(error));  // nothing has begun, or will
            }
            this->source_failed(std::move(error));
            only_begun_ = true;
        }
        return !inner_awaiter_ && records_.size() == 0;
    }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        if (inner_awaiter_) {
            return inner_awaiter_->await_suspend(parent);
        }
        if (only_begun_) {
            return launch_begun(parent, *parent.promise().context());
        }
        child* last = nullptr;
        for (record& each : records_) {
            each.next = last;
            last = &each;
        }
        return launch(parent, *parent.promise().context(), *last, records_.size());
    }

    result await_resume() {
        if (inner_awaiter_) {
            return inner_awaiter_->await_resume();
        }
        check();
        if constexpr (!std::is_void_v<result>) {
            result values;
            values.reserve(records_.size());
            for (record& each : records_) {
                values.push_back(each.take());
            }
            return values;
        }
    }

private:
    void run_inside(inner_task&& all) {
        inner_.emplace(std::move(all));
        inner_awaiter_.emplace(std::move(*inner_).operator co_await());
    }

    std::coroutine_handle<> launch_begun(std::coroutine_handle<> parent, task_context& parent_context) {
        std::vector<child*> list;
        for (record& each : records_) {
            if (each.has_started()) {
                list.push_back(&each);
            }
        }
        return launch(parent, parent_context, list);
    }

    // A range that is not long is done with, and its memory given back, before the children run. What it threw, if it did:
    // then there are the records of those that it gave before.
    std::exception_ptr collect() {
        std::exception_ptr const error = [&] {
            if constexpr (std::ranges::sized_range<R>) {
                return collect_sized();
            } else {
                return collect_unsized();
            }
        }();
        if (!inner_awaiter_) {
            range_.reset();
        }
        return error;
    }

    static bool is_long(std::size_t size) noexcept {
        return may_flow && size > gather_flow_base::part_size && fork_parts::possible(*current_context());
    }

    std::exception_ptr collect_sized() {
        auto& source = range_.get();
        try {
            auto const size = static_cast<std::size_t>(std::ranges::size(source));
            if constexpr (may_flow) {
                if (is_long(size)) {
                    run_inside(gather_flow<value, Settled, R>(range_, std::ranges::begin(source), {}, cancel_rest_));
                    return nullptr;
                }
            }
            records_.allocate(size);
            for (auto&& each : source) {
                MAGPIE_ASSERT(records_.size() < records_.capacity());
                records_.emplace(as_child<Settled>(static_cast<range_argument_t<R>&&>(each)));
            }
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }

    std::exception_ptr collect_unsized() {
        auto& source = range_.get();
        task_buffer<value> tasks;
        std::exception_ptr error;
        try {
            auto at = std::ranges::begin(source);
            auto const last = std::ranges::end(source);
            for (; at != last; ++at) {
                if constexpr (may_flow) {
                    if (tasks.size() == gather_flow_base::part_size && is_long(tasks.size() + 1)) {
                        run_inside(gather_flow<value, Settled, R>(range_, std::move(at), tasks.move_to_list(), cancel_rest_));
                        return nullptr;
                    }
                }
                tasks.push_back(as_child<Settled>(static_cast<range_argument_t<R>&&>(*at)));
            }
        } catch (...) {
            error = std::current_exception();
        }
        records_.allocate(tasks.size());
        tasks.move_each([this](task<value>&& each) { records_.emplace(std::move(each)); });
        return error;
    }

    bool request_all() noexcept override {
        bool taken = false;
        for (record& each : records_) {
            taken |= each.request_cancel(request_origin::external);
        }
        return taken;
    }

    fixed_block<record> records_;
    held_range<R> range_;
    std::optional<inner_task> inner_;  // if it goes another way
    std::optional<inner_awaiter> inner_awaiter_;
    bool cancel_rest_;
    bool only_begun_ = false;  // the range failed: only handles' tasks are to be joined
};

// What gather(range) returns.
template <class R, bool Settled, class Progress = no_progress>
class [[nodiscard("co_await it")]] gather_range_awaitable {
public:
    gather_range_awaitable(bool cancel_rest, R&& range, std::size_t limit, Progress on_progress = {})
        : range_(std::forward<R>(range)),
          limit_(limit),
          on_progress_(std::move(on_progress)),
          cancel_rest_(cancel_rest) {}

    // f(progress const&) is called each time a task has ended, by the awaiting task, one call at a time; the last one has
    // done == total. What it throws fails the gather.
    template <class F>
        requires std::invocable<std::decay_t<F>&, progress const&>
    gather_range_awaitable<R, Settled, std::decay_t<F>> on_progress(F&& f) && {
        check_closure<F>();
        return {cancel_rest_, std::forward<R>(range_), limit_, std::forward<F>(f)};
    }

    gather_range_awaiter<R, Settled, Progress> operator co_await() && {
        return {cancel_rest_, std::forward<R>(range_), limit_, std::move(on_progress_)};
    }
    void operator co_await() const& = delete;  // a gather is awaited once: co_await std::move(g)

private:
    R range_;
    std::size_t limit_;
    [[no_unique_address]] Progress on_progress_;
    bool cancel_rest_;
};

}  // namespace magpie::detail
