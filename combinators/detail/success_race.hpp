#pragma once

// The state of one first_success(): its candidates, and what has come of them.
//
// The awaiting task drives it: it begins candidates and takes their ends, one after the other in the order in which
// they came (completion_core); so the first success that it takes is the first there was. It waits for the next end,
// and, as long as there may be further candidates, for no longer than the stagger.
//
//   racing    nothing is decided
//   over      one has succeeded, or none can any more, or the awaiting task was asked to end, or the range threw
//   stopped   the rest was asked to end; then everybody has ended and conclude() says what came of it

#include <magpie/combinators/detail/completed_child.hpp>
#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/result_slot.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie::detail {

// The part that does not depend on the type.
class success_race_base : public completion_core {
public:
    // Throws nothing; a request to the awaiting task ends it, and stays pending.
    completion_end_awaiter next() noexcept { return completion_end_awaiter(*this); }

    // Also when the awaiting task was asked to end: nothing more begins then.
    bool over() noexcept;
    // The next candidate is to begin.
    bool next_is_due() const noexcept { return due_; }
    // There are no more candidates.
    void no_more() noexcept;
    void source_failed(std::exception_ptr error) noexcept;
    void take(completion_end ended);

    // A task that runs already, behind a handle that had no turn: only to be cancelled and joined. Before stop().
    void join_only(completion_child& one) noexcept { start(parent_, one); }
    static constexpr std::size_t no_candidate = static_cast<std::size_t>(-1);
    // After that nobody waits in next().
    void stop() noexcept { abandon(parent_); }
    // After all_ended(): who has won. Throws what there is to throw if nobody has.
    std::size_t conclude();
    std::vector<std::exception_ptr> take_errors() noexcept { return std::move(errors_); }

protected:
    success_race_base(task_context& parent, duration stagger) : parent_(parent), stagger_(stagger) {}
    ~success_race_base() { drop_rest(suppressed); }

    void begun(completion_child& candidate);
    completion_child* winner() const noexcept { return winner_; }
    std::size_t count() const noexcept { return errors_.size(); }

private:
    static constexpr char const* suppressed = "first_success: a candidate failed after another had succeeded";

    // What it failed with, null if it succeeded.
    virtual std::exception_ptr failure_of(completion_child& candidate) const = 0;
    void settle(completion_child& candidate);

    task_context& parent_;
    duration stagger_;
    std::vector<std::exception_ptr> errors_;  // by candidate
    completion_child* winner_ = nullptr;
    std::exception_ptr source_error_;
    std::size_t running_ = 0;
    bool may_begin_ = true;
    bool due_ = false;
    bool over_ = false;
    bool cancelled_ = false;
};

template <class T>
class success_race final : public success_race_base {
    using candidate = completed_child<T>;

public:
    success_race(task_context& parent, duration stagger) : success_race_base(parent, stagger) {}

    void begin(task<T>&& body) { begun(*new candidate(std::move(body), count())); }

    void begin_to_join(task<T>&& body) { join_only(*new candidate(std::move(body), no_candidate)); }

    // The winner's.
    stored_t<T> take_value() {
        auto won = static_cast<candidate*>(winner())->take();
        if constexpr (std::is_void_v<T>) {
            return {};
        } else if constexpr (std::is_reference_v<T>) {
            return std::addressof(won.value());
        } else {
            return std::move(won).value();
        }
    }

private:
    std::exception_ptr failure_of(completion_child& one) const override {
        return static_cast<candidate&>(one).result().error();  // child_cancelled if it was cancelled
    }
};

}  // namespace magpie::detail
