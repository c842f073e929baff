#pragma once

// A join whose children are made while others of them run: in parts, each of which is launched like a small join.
//
// A coroutine in the waiting task, the *maker*, fills a part with children, launches it, and is resumed to make the next
// one. It lies on the fork stack below the part's children, so it comes up when they have begun, and is exposed, stolen
// and rescued like a child: first of all, since it stands for all the work that is still to come.
//
//   filled     the maker runs: it adds children to a part that nobody else knows
//   launched   the maker is suspended and published in the task's cancel word: a request reaches the children that there
//              are. The part is open, as in fork_join.hpp: children that end inline are counted in a plain integer.
//   ended      whoever ended the last child put it on ended_ (release), from where the maker takes it (acquire) to be
//              filled again. Parts whose children end inline use one and the same memory.
//
//   live_      parts that have not ended, and 1 for the maker until it waits for the rest. Who brings it to 0 resumes it.
//              A part's last touch of the whole is this subtraction (acq_rel).
//
// Between two parts the maker takes itself out of the cancel word (taken_up()): while it runs no canceller is at work on
// the children, and it passes a request on by waiting again.
//
// Children that end sooner than another worker could fetch them are not worth exposing. So an open part looks at the clock
// once for every `milestone` of them, and while they are quick it is held back: nobody is woken for it, and it is not
// exposed. The first one that takes long ends this at the next milestone.

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/fork_join.hpp>
#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/task_locals.hpp>

#include <coroutine>
#include <cstdint>

namespace magpie::detail {

class fork_parts {
public:
    class part;
    class launch_awaiter;
    class taken_up_awaiter;
    class rest_awaiter;

    // `whole` is what the task waits at; it outlives this.
    explicit fork_parts(fork_join& whole) noexcept : whole_(whole) {}
    fork_parts(fork_parts const&) = delete;
    fork_parts& operator=(fork_parts const&) = delete;

    // False if the children of this task, which runs here, go through the queue: then all are launched at once.
    static bool possible(task_context const& parent) noexcept;

    // All of these are the maker's.

    // A part that has ended and may be filled again, or null.
    part* take_ended() noexcept;
    // `co_await launch(p); co_await taken_up();`: starts the part's children, of which there is one at least, and goes on
    // when their turn is over, perhaps on another worker; they need not have ended. Throws std::bad_alloc, and then none
    // has started.
    launch_awaiter launch(part& filled) noexcept;
    taken_up_awaiter taken_up() noexcept;
    // `co_await rest_ended()`: all parts have ended. The last that is called.
    rest_awaiter rest_ended() noexcept;

private:
    friend class fork_join;

    std::coroutine_handle<> start(part& filled);
    [[nodiscard]] bool put_ended(part& ended) noexcept;
    bool wait_for_rest() noexcept;

    fork_join& whole_;
    part* free_ = nullptr;  // the maker's
    atomic<part*> ended_{nullptr};
    atomic<std::uint32_t> live_{1};
    atomic<bool> quick_{false};  // a hint, from part to part
};

// One part. Lies where the maker wants it, together with its children's records, until the whole has ended.
class fork_parts::part : public fork_join {
public:
    explicit part(fork_parts& all) noexcept : all_(all) { is_part_ = true; }

    // Before it is filled; the records of its last use may be destroyed now.
    void clear() noexcept {
        newest_ = nullptr;
        size_ = 0;
    }
    // `parent` is the task that waits, and runs on `here`. Children start in the order in which they were added.
    void add(child& each, task_context& parent, worker& here) noexcept {
        each.next = newest_;
        newest_ = &each;
        ++size_;
        adopt_one(each, parent, here);
        share_locals(parent, each);  // not lent: the parent runs beside its children, and may set something
    }
    std::uint32_t size() const noexcept { return size_; }

protected:
    ~part() = default;

private:
    friend class fork_join;
    friend class fork_parts;

    static constexpr std::uint32_t milestone = 16;
    static constexpr duration quick = std::chrono::nanoseconds(250);  // of one child: a few cache lines from another core

    // Part of close(): a child has suspended, or others wait. What comes next need not be as quick.
    void interrupted() noexcept {
        if (held_) {
            all_.quick_.store(false, mo_relaxed);
        }
    }
    // Part of arrive(): as many children as total_ says have ended here. Null: there are more.
    std::coroutine_handle<> passed_milestone(worker& here) noexcept;
    std::coroutine_handle<> ended_inline(worker& here) noexcept;
    bool cancel_children() noexcept final { return false; }  // never: the whole is what is published

    fork_parts& all_;
    part* next_ended_ = nullptr;
    work_item* newest_ = nullptr;  // linked to those that were added before
    std::uint32_t size_ = 0;
    time_point measured_;
};

class fork_parts::launch_awaiter {
public:
    launch_awaiter(fork_parts& all, part& filled) noexcept : all_(all), filled_(filled) {}
    bool await_ready() const noexcept { return false; }
    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> maker) {
        all_.whole_.handle = maker;
        return all_.start(filled_);
    }
    void await_resume() const noexcept {}

private:
    fork_parts& all_;
    part& filled_;
};

class fork_parts::taken_up_awaiter {
public:
    explicit taken_up_awaiter(fork_parts& all) noexcept : all_(all) {}
    bool await_ready() const noexcept { return false; }
    // Stays suspended if a canceller is inside, who then queues us.
    bool await_suspend(std::coroutine_handle<>) noexcept { return !all_.whole_.context->complete(all_.whole_); }
    void await_resume() const noexcept {}

private:
    fork_parts& all_;
};

class fork_parts::rest_awaiter {
public:
    explicit rest_awaiter(fork_parts& all) noexcept : all_(all) {}
    // acquire: pairs with the subtractions in put_ended(): everything that the children wrote is seen.
    bool await_ready() const noexcept { return all_.live_.load(mo_acquire) == 1; }
    template <runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> maker) noexcept {
        all_.whole_.handle = maker;
        return all_.wait_for_rest();
    }
    void await_resume() const noexcept {}

private:
    fork_parts& all_;
};

inline fork_parts::launch_awaiter fork_parts::launch(part& filled) noexcept {
    return {*this, filled};
}
inline fork_parts::taken_up_awaiter fork_parts::taken_up() noexcept {
    return taken_up_awaiter(*this);
}
inline fork_parts::rest_awaiter fork_parts::rest_ended() noexcept {
    return rest_awaiter(*this);
}

}  // namespace magpie::detail
