// expect: (runnable_promise|no matching member function|no matching function)
// TG-29: a coroutine that is no magpie task cannot await a task group.
#include <magpie/combinators/task_group.hpp>

#include <coroutine>

struct stranger {
    struct promise_type {
        stranger get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

stranger f() {
    co_await magpie::with_task_group([](magpie::task_group&) {});
}
