#pragma once

#include <magpie/runtime/detail/task_locals.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace magpie {

// A variable of which every task has a value of its own, wherever it runs: what a thread_local cannot be here, because
// a task may go on on another thread after any co_await (so errno, thread_locals and the floating-point environment are
// not the task's: use them only between two awaits).
//
//     task_local<std::string> request_id;   // at namespace scope, or anything that outlives its use
//
// A coroutine that is awaited directly belongs to the same task: it sees and sets the task's value. A task that is
// spawned starts with the values that the spawner has at that moment; so does a combinator's child, an on_done()
// callback (with those of the task that registered it) and, to read, a function that to_thread() runs. What one of them
// sets later the others do not see.
//
// Setting in one task and reading in another needs no synchronisation. A program that uses none pays one test for each
// task it starts.
template <class T>
class task_local {
    static_assert(std::is_object_v<T> && std::move_constructible<T>, "a task_local holds an object that can be moved");

public:
    // The value of tasks that have set none, and inherited none: T().
    task_local()
        requires std::default_initializable<T>
        : unset_() {}
    explicit task_local(T unset) : unset_(std::move(unset)) {}
    task_local(task_local const&) = delete;
    task_local& operator=(task_local const&) = delete;

    // The value that the running task sees; the default if there is none, and outside a task. The reference is valid
    // until the task sets this variable or ends; other tasks that see the value do not change it.
    T const& get() const noexcept {
        detail::local_value const* const found = detail::find_local(key_);
        return found == nullptr ? unset_ : static_cast<detail::local_value_of<T> const*>(found)->value;
    }

    // Gives the running task, and the tasks that it starts from now on, this value. Throws usage_error outside a task.
    void set(T value) { detail::set_local(key_, std::make_shared<detail::local_value_of<T>>(std::move(value))); }

private:
    // Not the address: a variable that comes to lie where another one was must not find its values.
    std::uint64_t const key_ = detail::next_local_key();
    T unset_;
};

} // namespace magpie
