#pragma once

// gather of the tasks that an async_generator makes: a task of its own runs the generator and starts what it gives
// (completion_core's feeder); the awaiting task takes the ends, and tells how far they have come.

#include <magpie/combinators/detail/completed_child.hpp>
#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_bounded.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/combinators/detail/generator_source.hpp>
#include <magpie/combinators/detail/task_awaiter.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/closure_check.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/outcome.hpp>
#include <magpie/runtime/task.hpp>

#include <concepts>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

// The part that does not depend on the types.
class generated_gather_base : public completion_core {
public:
    bool over() const noexcept { return over_; }
    completion_end_awaiter next() noexcept { return completion_end_awaiter(*this); }
    void take(completion_end ended) noexcept;
    // Keeps the first error, reports the others; the rest is not waited for if `cancels`.
    void fail(std::exception_ptr error, bool cancels) noexcept;
    void stop() noexcept { abandon(parent_); }

protected:
    generated_gather_base(task_context& parent, bool settled, bool cancel_rest) noexcept
        : parent_(parent), settled_(settled), cancel_rest_(cancel_rest) {}
    ~generated_gather_base() { drop_rest("gather: a task failed after another had failed"); }

    // After the join: takes the ends that are left, and throws what there is to throw.
    void check();

    // The feeder's: so many have been made, and that was the last.
    void made(std::size_t count) noexcept { made_.store(count, mo_relaxed); }
    void made_all() noexcept { made_all_.store(true, mo_release); }  // pairs with the acquire in settle()
    progress const& report() const noexcept { return report_; }

    task_context& parent_;

private:
    // Stores the result. What it failed with, null if it gave a value.
    virtual std::exception_ptr keep(completion_child& child) = 0;
    // Passes the report on. What it throws fails the gather, and nothing more is told.
    virtual void tell() {}
    void settle(completion_child& child) noexcept;
    void judge(completion_child& child) noexcept;

    std::exception_ptr error_;
    progress report_;
    bool telling_ = true;
    // relaxed suffices for the count: a child was counted before it was started, so before it ended.
    atomic<std::size_t> made_{0};
    atomic<bool> made_all_{false};
    bool settled_;
    bool cancel_rest_;
    bool cancelled_ = false;
    bool over_ = false;  // nobody is waited for any more but to end
};

template <class T, bool Settled, class G, class Progress>
class generated_gather final : public generated_gather_base {
    using child = completed_child<T>;

public:
    generated_gather(task_context& parent, std::remove_reference_t<G>& generator, bool cancel_rest,
                     Progress& on_progress) noexcept
        : generated_gather_base(parent, Settled, cancel_rest), generator_(generator), on_progress_(on_progress) {}

    void begin(std::size_t limit) {
        start_feeder(parent_, *new completion_feeder(feed()),
                     limit == 0 ? std::numeric_limits<std::size_t>::max() : limit);
    }

    gathered_range_t<T, Settled> result() {
        check();
        if constexpr (!std::is_void_v<gathered_range_t<T, Settled>>) {
            std::vector<gathered_t<T, Settled>> values;
            values.reserve(outcomes_.size());
            for (outcome<T>& each : outcomes_) {
                if constexpr (Settled) {
                    values.push_back(std::move(each));
                } else if constexpr (std::is_reference_v<T>) {
                    values.push_back(std::addressof(each.value()));
                } else {
                    values.push_back(std::move(each).value());
                }
            }
            return values;
        }
    }

private:
    task<> feed() {
        for (std::size_t index = 0;; ++index) {
            co_await room();
            auto made = co_await generator_.next();
            if (!made) {
                this->made_all();
                co_return;
            }
            auto body = as_child<Settled>(generated_element<G>(made));
            auto& record = *new child(std::move(body), index);
            this->made(index + 1);
            start(parent_, record);
        }
    }

    std::exception_ptr keep(completion_child& ended) override {
        auto& one = static_cast<child&>(ended);
        outcome<T> how = one.take();
        std::exception_ptr error = how.has_value() ? nullptr : how.error();
        if (Settled || (!std::is_void_v<T> && how.has_value())) {
            while (outcomes_.size() <= one.index) {
                outcomes_.emplace_back();
            }
            outcomes_[one.index] = std::move(how);
        }
        return error;
    }

    void tell() override {
        if constexpr (!std::is_same_v<Progress, no_progress>) {
            on_progress_(this->report());
        }
    }

    std::remove_reference_t<G>& generator_;
    Progress& on_progress_;
    std::deque<outcome<T>> outcomes_;  // by the order in which the tasks were made
};

template <class T, bool Settled, class G, class Progress>
task<gathered_range_t<T, Settled>> gather_generated(G generator, std::size_t limit, bool cancel_rest,
                                                    Progress on_progress) {
    generated_gather<T, Settled, G, Progress> all(*current_context(), generator, cancel_rest, on_progress);
    try {
        all.begin(limit);
        while (!all.over()) {
            all.take(co_await all.next());
        }
    } catch (...) {
        all.fail(std::current_exception(), true);
    }
    all.stop();
    co_await all.all_ended();
    co_return all.result();
}

// What gather(generator) returns.
template <generator_source G, bool Settled, class Progress = no_progress>
class [[nodiscard("co_await it")]] gather_generated_awaitable {
    using value = child_value_t<Settled, generated_argument_t<G>>;
    using result = gathered_range_t<value, Settled>;

public:
    gather_generated_awaitable(bool cancel_rest, G&& generator, std::size_t limit, Progress on_progress = {})
        : generator_(std::forward<G>(generator)),
          limit_(limit),
          on_progress_(std::move(on_progress)),
          cancel_rest_(cancel_rest) {}

    // As of a range: gather_range_awaitable.
    template <class F>
        requires std::invocable<std::decay_t<F>&, progress const&>
    gather_generated_awaitable<G, Settled, std::decay_t<F>> on_progress(F&& f) && {
        check_closure<F>();
        return {cancel_rest_, std::forward<G>(generator_), limit_, std::forward<F>(f)};
    }

    task_awaiter<result> operator co_await() && {
        return task_awaiter<result>(gather_generated<value, Settled, G, Progress>(
            std::forward<G>(generator_), limit_, cancel_rest_, std::move(on_progress_)));
    }
    void operator co_await() const& = delete;  // a gather is awaited once: co_await std::move(g)

private:
    G generator_;
    std::size_t limit_;
    [[no_unique_address]] Progress on_progress_;
    bool cancel_rest_;
};

}  // namespace magpie::detail
