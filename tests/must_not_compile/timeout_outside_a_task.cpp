// expect: (runnable_promise|no matching member function|no matching function)
// TO-21: a coroutine that is no magpie task cannot await a timeout.
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/sleep.hpp>

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
    co_await magpie::timeout(magpie::duration(1), magpie::sleep(magpie::duration(1)));
}
