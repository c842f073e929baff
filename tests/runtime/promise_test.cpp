#include <magpie/runtime/detail/promise.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <coroutine>
#include <type_traits>

namespace {

using namespace magpie;
using namespace magpie::tests;

static_assert(detail::runnable_promise<detail::task_promise<int>>);
static_assert(!detail::runnable_promise<int>);
// Every frame holds one: a field more is paid for by every await.
static_assert(sizeof(detail::task_promise<void>) <= 48 && sizeof(detail::task_promise<int>) <= 48);

// Gives the promise of the coroutine that awaits it.
class own_promise {
public:
    own_promise() noexcept {}
    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        promise_ = &coroutine.promise();
        return false;
    }
    detail::promise_base* await_resume() const noexcept { return promise_; }

private:
    detail::promise_base* promise_ = nullptr;
};

task<detail::task_context*> context_below() {
    auto const* const promise = co_await own_promise();
    co_return promise->context();
}

TEST_CASE("promise: every frame of a task knows the task's context, which is the current one") {
    auto const body = []() -> task<bool> {
        auto const* const promise = co_await own_promise();
        detail::task_context* const below = co_await context_below();
        co_return promise->context() != nullptr && promise->context() == below &&
            below == detail::current_context();
    };
    CHECK(run(body(), simulated()));
}

TEST_CASE("promise: a spawned task has a context of its own: its record") {
    auto const body = []() -> task<bool> {
        auto h = spawn(context_below());
        auto const* const record = &h.record();
        detail::task_context* const theirs = co_await std::move(h);
        co_return theirs == record && theirs != detail::current_context();
    };
    CHECK(run(body(), simulated()));
}

}  // namespace
