#pragma once

#include <magpie/combinators/detail/group_core.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace magpie {

// The handle of a task group's child: a join_handle that may be dropped without a word, because the group owns the task.
template <class T>
class child_handle : public join_handle<T> {
public:
    using join_handle<T>::join_handle;
};

namespace detail {

// The forms of spawn(), as in <magpie/runtime/spawn.hpp>, for what has a start(task<T>&&, spawn_options const&).
template <class Derived>
class group_spawner {
public:
    template <class A>
        requires awaitable<std::remove_cvref_t<A>>
    auto spawn(A&& a, spawn_options options = {}) {
        return static_cast<Derived&>(*this).start(as_task(std::forward<A>(a)), options);
    }
    template <class Fn>
        requires task_function<std::decay_t<Fn>>
    auto spawn(Fn&& fn, spawn_options options = {}) {
        return static_cast<Derived&>(*this).start(as_task_of(std::forward<Fn>(fn)), options);
    }
    template <class Fn, class... Args>
        requires task_function<std::decay_t<Fn>, std::decay_t<Args>...>
    auto spawn(spawn_options options, Fn&& fn, Args&&... args) {
        return static_cast<Derived&>(*this).start(as_task_of(std::forward<Fn>(fn), std::forward<Args>(args)...),
                                                  options);
    }
    template <class Fn, class First, class... Rest>
        requires task_function<std::decay_t<Fn>, std::decay_t<First>, std::decay_t<Rest>...>
    auto spawn(Fn&& fn, First&& first, Rest&&... rest) {
        return static_cast<Derived&>(*this).start(
            as_task_of(std::forward<Fn>(fn), std::forward<First>(first), std::forward<Rest>(rest)...),
            spawn_options{.where = {}});
    }

protected:
    group_spawner() noexcept = default;
    ~group_spawner() = default;
};

template <class T, class Group>
class bounded_spawn_awaiter final : public group_core::slot_waiter {
public:
    bounded_spawn_awaiter(Group& owner, task<T>&& body, std::size_t bound, spawn_options const& options)
        : slot_waiter(owner.core(), bound),
          owner_(owner),
          place_(owner.make_place()),
          body_(std::move(body)),
          options_(options) {}

    child_handle<T> await_resume() {
        check();
        return owner_.made(group().start_reserved(std::move(body_), options_), std::move(place_));
    }

private:
    Group& owner_;
    typename Group::place place_;
    task<T> body_;
    spawn_options options_;
};

}  // namespace detail

// What spawn_bounded() returns.
template <class T, class Group>
class [[nodiscard("co_await it")]] bounded_spawn_awaitable {
public:
    bounded_spawn_awaitable(Group& owner, task<T>&& body, std::size_t bound, spawn_options options) noexcept
        : owner_(&owner), body_(std::move(body)), bound_(bound), options_(options) {}

    detail::bounded_spawn_awaiter<T, Group> operator co_await() && {
        return {*owner_, std::move(body_), bound_, options_};
    }

private:
    Group* owner_;
    task<T> body_;
    std::size_t bound_;
    spawn_options options_;
};

namespace detail {

// A group inside its block: spawn(), spawn_bounded(), cancel(). Derived has make_place(), called before a child is
// started, and made(spawned<T>&, place), which gives the handle of one that has just been.
template <class Derived>
class group_face : public group_spawner<Derived> {
public:
    group_face(group_face const&) = delete;
    group_face& operator=(group_face const&) = delete;

    // Suspends until fewer than `bound` children live, then spawns, and gives the child's handle. First come, first
    // served. A child that calls it counts itself. Throws as spawn() does; std::invalid_argument for a bound of 0.
    template <class A>
        requires awaitable<std::remove_cvref_t<A>>
    auto spawn_bounded(A&& a, std::size_t bound, spawn_options options = {}) {
        return make_bounded(as_task(std::forward<A>(a)), bound, options);
    }

    // Ends the group early: children and body are cancelled, and the block ends without an error unless somebody fails
    // on the way. Any thread while the block is open; does nothing the second time.
    void cancel() noexcept { core_.cancel(); }

    // For the library.
    group_core& core() const noexcept { return core_; }

protected:
    explicit group_face(group_core& core) noexcept : core_(core) {}
    ~group_face() = default;

private:
    friend group_spawner<Derived>;
    template <class T>
    bounded_spawn_awaitable<T, Derived> make_bounded(task<T>&& body, std::size_t bound, spawn_options const& options) {
        return {static_cast<Derived&>(*this), std::move(body), bound, options};
    }
    template <class T>
    child_handle<T> start(task<T>&& body, spawn_options const& options) {
        auto& group = static_cast<Derived&>(*this);
        auto place = group.make_place();
        return group.made(core_.spawn(std::move(body), options), std::move(place));
    }

    group_core& core_;
};

}  // namespace detail
}  // namespace magpie
