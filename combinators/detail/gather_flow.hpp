#pragma once

// gather of a long range: its tasks are made while others of them run, a part at a time (fork_parts.hpp).
//
// The coroutine is the awaiting task itself, so that the range's own code runs in one task and one call at a time. A record
// is used again when its part has ended; a value goes to a place of its own. So tasks that end at once take the memory of
// one part, however many they are, and those that wait take what each of them needs.
//
// Who asks the children to end walks over all parts, and may do so while the coroutine goes on: an error comes from any
// worker. parts_lock_ keeps the two apart: listed() is how many of a part's records may be looked at. A walk that comes
// before a part is listed has set asked() by then, and the part is not launched.

#include <magpie/combinators/detail/fixed_block.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>
#include <magpie/combinators/detail/gather_bounded.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/combinators/detail/task_buffer.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/fork_parts.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
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

// The part that does not depend on the types: whom to ask to end, and whether to go on.
class gather_flow_base : public gather_join {
public:
    // As many tasks are made at a time; a range that is not longer is launched at once.
    static constexpr std::size_t part_size = 64;

    class part : public fork_parts::part {
    public:
        explicit part(gather_flow_base& of) noexcept : fork_parts::part(of.forks_), all(of) {}
        virtual ~part() = default;
        // Destroys the records.
        virtual void empty() noexcept = 0;
        virtual bool request(std::uint32_t count) noexcept = 0;

        gather_flow_base& all;
        std::unique_ptr<part> next_of_all;
        std::uint32_t listed = 0;  // under the lock
    };

    // These are the coroutine's.

    // True if nothing more is to be started.
    bool stopping() noexcept;
    // The range threw.
    void fail(std::exception_ptr error) noexcept { source_failed(std::move(error)); }
    // False: the children were asked to end meanwhile, and these do not begin.
    bool list(part& filled) noexcept;
    fork_parts& forks() noexcept { return forks_; }

protected:
    gather_flow_base(task_context& parent, bool cancel_rest) noexcept;
    ~gather_flow_base();

    // An empty part, or null if a new one is needed.
    part* take_empty() noexcept;
    void add_part(std::unique_ptr<part> one) noexcept;
    // After the join: throws the first error, or else the parent's own cancellation, if it had a part in the ending.
    void check();

private:
    bool request_all() noexcept final;
    bool cancel_children() noexcept final;

    fork_parts forks_;
    spin_lock parts_lock_;
    std::unique_ptr<part> parts_;
    unsigned requests_ = 0;  // the parent's count when a request was passed on last; 0: none was
    bool stopped_ = false;   // a request to cancel the parent kept a task from starting
};

// A child's record. Owns the frame until it has run.
template <class T, bool Settled>
class flow_child final : public fork_join::child {
public:
    using place = child_slot<T, Settled>;
    static constexpr bool keeps_value = Settled || !std::is_void_v<T>;
    using place_of = std::conditional_t<keeps_value, place*, place>;

    flow_child(task<T>&& body, place_of where) noexcept : child(&flow_child::finished), where_(where) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from
        frame.promise().run_as(*this);
        handle = frame;
    }
    ~flow_child() {
        if (handle) {  // it was never started
            handle.destroy();
        }
    }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<flow_child&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        self.handle = nullptr;
        if (std::exception_ptr error = end_child<Settled, T>(frame, self.where(), kind)) {
            static_cast<gather_flow_base::part&>(*self.join).all.failed(std::move(error));
        }
        return self.join->arrive(self);
    }
    place& where() noexcept {
        if constexpr (keeps_value) {
            return *where_;
        } else {
            return where_;
        }
    }

    [[no_unique_address]] place_of where_;
};

// The state of one such gather, owned by its coroutine.
template <class T, bool Settled>
class gather_flow_state final : public gather_flow_base {
    using record = flow_child<T, Settled>;
    using place = typename record::place;

public:
    class part final : public gather_flow_base::part {
    public:
        explicit part(gather_flow_base& of) : gather_flow_base::part(of) { records_.allocate(part_size); }
        bool full() const noexcept { return size() == part_size; }
        record& emplace(task<T>&& body, typename record::place_of where) {
            records_.emplace(std::move(body), where);
            return *(records_.end() - 1);
        }

    private:
        void empty() noexcept override {
            records_.clear();
            clear();
        }
        bool request(std::uint32_t count) noexcept override {
            bool taken = false;
            for (std::uint32_t i = 0; i < count; ++i) {
                taken |= records_.begin()[i].request_cancel(request_origin::external);
            }
            return taken;
        }
        fixed_block<record> records_;
    };

    explicit gather_flow_state(bool cancel_rest) noexcept : gather_flow_base(*current_context(), cancel_rest) {}

    part& next_part() {
        if (gather_flow_base::part* const used = take_empty()) {
            return static_cast<part&>(*used);
        }
        auto made = std::make_unique<part>(*this);
        part& one = *made;
        add_part(std::move(made));
        return one;
    }
    void add(part& to, task<T>&& body) {
        if constexpr (record::keeps_value) {
            place& where = places_.emplace_back();
            to.add(to.emplace(std::move(body), &where), *context, *current_worker());
        } else {
            to.add(to.emplace(std::move(body), {}), *context, *current_worker());
        }
    }

    gathered_range_t<T, Settled> result() {
        check();
        if constexpr (record::keeps_value) {
            std::vector<gathered_t<T, Settled>> values;
            values.reserve(places_.size());
            for (place& each : places_) {
                values.push_back(each.take());
            }
            return values;
        }
    }

private:
    std::conditional_t<record::keeps_value, std::deque<place>, no_progress> places_;
};

// `made` are the tasks of what lies before `from`.
template <class T, bool Settled, class R>
task<gathered_range_t<T, Settled>> gather_flow(held_range<R>& range, std::ranges::iterator_t<R> from,
                                               task_list<T> made, bool cancel_rest) {
    gather_flow_state<T, Settled> all(cancel_rest);
    try {
        auto next = std::move(from);
        auto const last = std::ranges::end(range.get());
        std::size_t used = 0;
        while ((used != made.size() || next != last) && !all.stopping()) {
            auto& part = all.next_part();
            while (!part.full() && used != made.size()) {
                all.add(part, std::move(made[used++]));
            }
            while (!part.full() && next != last) {
                all.add(part, as_child<Settled>(static_cast<range_argument_t<R>&&>(*next)));
                ++next;
            }
            if (!all.list(part)) {
                break;
            }
            co_await all.forks().launch(part);
            co_await all.forks().taken_up();
        }
    } catch (...) {
        all.fail(std::current_exception());
    }
    made.clear();
    range.reset();
    co_await all.forks().rest_ended();
    co_return all.result();
}

}  // namespace magpie::detail
