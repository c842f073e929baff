#pragma once

// gather of a range, all children at once. A limit or a progress report goes another way: gather_bounded.hpp.

#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_bounded.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/runtime/detail/closure_check.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

// A range given as an lvalue stays where it is; any other lives here until it has been read.
template <class R>
class held_range {
public:
    explicit held_range(R&& range) : range_(std::move(range)) {}
    R& get() noexcept { return *range_; }
    void reset() noexcept { range_.reset(); }

private:
    std::optional<R> range_;
};

template <class R>
class held_range<R&> {
public:
    explicit held_range(R& range) noexcept : range_(&range) {}
    R& get() noexcept { return *range_; }
    void reset() noexcept {}

private:
    R* range_;
};

// Runs every task of a range at once. The records lie in one block, which is all that is allocated.
template <class R, bool Settled, class Progress>
class gather_range_awaiter final : public gather_join {
    using value = child_value_t<Settled, range_argument_t<R>>;
    using record = gather_child<value, Settled>;
    using result = gathered_range_t<value, Settled>;
    using bounded_task = task<result>;
    using bounded_awaiter = decltype(std::declval<bounded_task>().operator co_await());

public:
    gather_range_awaiter(bool cancel_rest, R&& range, std::size_t limit, Progress&& on_progress)
        : gather_join(cancel_rest), range_(std::forward<R>(range)) {
        if (limit != 0 || !std::is_same_v<Progress, no_progress>) {
            bounded_.emplace(gather_bounded<value, Settled, R, Progress>(std::forward<R>(range_.get()), limit,
                                                                         cancel_rest, std::move(on_progress)));
            bounded_awaiter_.emplace(std::move(*bounded_).operator co_await());
        }
    }

    // Calling the range's own code, here and not earlier, makes an error in it an error of this await.
    bool await_ready() {
        if (bounded_awaiter_) {
            return false;
        }
        if (std::exception_ptr error = collect()) {
            if (std::ranges::none_of(records_, &record::has_started)) {
                std::rethrow_exception(std::move(error));  // nothing has begun, or will
            }
            this->source_failed(std::move(error));
            only_begun_ = true;
        }
        return records_.size() == 0;
    }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        if (bounded_awaiter_) {
            return bounded_awaiter_->await_suspend(parent);
        }
        auto const list = std::make_unique_for_overwrite<child*[]>(records_.size());
        std::size_t count = 0;
        for (record& each : records_) {
            if (!only_begun_ || each.has_started()) {
                list[count++] = &each;
            }
        }
        return launch(parent, *parent.promise().context(), std::span<child* const>(list.get(), count));
    }

    result await_resume() {
        if (bounded_awaiter_) {
            return bounded_awaiter_->await_resume();
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
    // The range is done with, and its memory given back, before the children run. What it threw, if it did: then there
    // are the records of those that it gave before.
    std::exception_ptr collect() {
        std::exception_ptr error;
        auto& source = range_.get();
        if constexpr (std::ranges::sized_range<R>) {
            try {
                records_.allocate(static_cast<std::size_t>(std::ranges::size(source)));
                for (auto&& each : source) {
                    MAGPIE_ASSERT(records_.size() < records_.capacity());
                    records_.emplace(as_child<Settled>(static_cast<range_argument_t<R>&&>(each)));
                }
            } catch (...) {
                error = std::current_exception();
            }
        } else {
            std::vector<task<value>> tasks;
            try {
                for (auto&& each : source) {
                    tasks.push_back(as_child<Settled>(static_cast<range_argument_t<R>&&>(each)));
                }
            } catch (...) {
                error = std::current_exception();
            }
            records_.allocate(tasks.size());
            for (task<value>& each : tasks) {
                records_.emplace(std::move(each));
            }
        }
        range_.reset();
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
    std::optional<bounded_task> bounded_;
    std::optional<bounded_awaiter> bounded_awaiter_;
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

private:
    R range_;
    std::size_t limit_;
    [[no_unique_address]] Progress on_progress_;
    bool cancel_rest_;
};

}  // namespace magpie::detail
