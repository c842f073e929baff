#include <magpie/runtime/detail/task_context.hpp>

#include <magpie/runtime/detail/promise.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;
using detail::request_origin;

static_assert(alignof(detail::waiter) >= 16, "the word keeps flags in the low bits of the address");
static_assert(sizeof(detail::task_context) <= 128, "forking a child pays for one of these");

// A wait that the test ends by hand, or refuses to have cancelled.
class gate : public detail::waiter {
public:
    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        bind(coroutine);
        if (forwarding) {
            context->suspend_forwarding(*this);
        } else if (!context->suspend(*this)) {
            cancelled_ = true;
            return false;
        }
        waiting = true;
        return true;
    }
    // Whether the wait was cut short.
    bool await_resume() {
        if (was_cancelled()) {
            context->consume_request();
        }
        return was_cancelled();
    }

    bool try_cancel() noexcept override {
        ++asked;
        if (on_cancel) {
            on_cancel();
        }
        return cancellable;
    }
    std::string describe() const override {
        if (on_describe) {
            on_describe();
        }
        return "a gate";
    }

    std::atomic<bool> waiting{false};
    std::atomic<int> asked{0};
    bool cancellable = true;
    bool forwarding = false;
    std::function<void()> on_cancel;
    std::function<void()> on_describe;
};

// The gate lies in the test, not in a frame: the test may look at it after the wait.
struct through {
    explicit through(gate& g) noexcept : at(&g) {}
    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) const noexcept {
        return at->await_suspend(coroutine);
    }
    bool await_resume() const { return at->await_resume(); }
    gate* at;
};

task<bool> passes(gate& g) {
    co_return co_await through(g);
}

struct fixture {
    runtime rt{threads(2)};
    gate g;
    join_handle<bool> h;

    detail::task_context& start() {
        h = rt.spawn(passes(g));
        until([&] { return g.waiting.load(); });
        return h.record();
    }
    bool cut_short() {
        h.blocking_wait();
        return h.result().value();
    }
};

TEST_CASE("the word: a waiting task is woken by a completion") {
    fixture f;
    detail::task_context& task = f.start();
    CHECK(task.suspended_cancellably());
    f.g.wake();
    CHECK_FALSE(f.cut_short());
    CHECK(f.g.asked == 0);
    CHECK(task.finished());
    CHECK_FALSE(task.request_cancel(request_origin::external));
}

TEST_CASE("the word: a request that the waiter grants ends the wait") {
    fixture f;
    f.start();
    CHECK(f.h.cancel());
    CHECK(f.cut_short());
    CHECK(f.g.asked == 1);
}

TEST_CASE("the word: a request that comes too late leaves the wait to its completion, and stays pending") {
    fixture f;
    f.g.cancellable = false;
    detail::task_context& task = f.start();
    CHECK(f.h.cancel());
    CHECK((f.g.asked == 1 && task.request_pending() && task.suspended_cancellably()));
    f.g.wake();
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: completed while a canceller is inside: the canceller resumes the task, once") {
    fixture f;
    f.g.cancellable = false;
    f.g.on_cancel = [&] {
        f.g.wake();
        CHECK_FALSE(f.h.done());  // the frame must not run while somebody is inside its waiter
    };
    f.start();
    CHECK(f.h.cancel());
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: requests while a canceller is inside are counted, delivered once") {
    fixture f;
    detail::task_context* task = nullptr;
    f.g.on_cancel = [&] {
        CHECK(task->request_cancel(request_origin::external));
        CHECK(task->request_cancel(request_origin::scope));
    };
    task = &f.start();
    CHECK(f.h.cancel());
    CHECK(f.cut_short());
    CHECK(f.g.asked == 1);
}

TEST_CASE("the word: a request made while the wait is being described ends the wait") {
    fixture f;
    detail::task_context* task = nullptr;
    f.g.on_describe = [&] {
        std::thread([&] { CHECK(task->request_cancel(request_origin::external)); }).join();
    };
    task = &f.start();
    CHECK(task->describe_wait() == "a gate");
    CHECK(f.cut_short());
}

TEST_CASE("the word: a wait that completes while it is being described: the describer resumes the task") {
    fixture f;
    f.g.on_describe = [&] { f.g.wake(); };
    detail::task_context& task = f.start();
    CHECK(task.describe_wait() == "a gate");
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: a wait is left alone when describing it throws") {
    fixture f;
    f.g.on_describe = [] { throw 1; };
    detail::task_context& task = f.start();
    CHECK(task.describe_wait().empty());
    f.g.on_describe = nullptr;
    CHECK(task.describe_wait() == "a gate");
    f.g.wake();
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: a forwarding wait passes on every request, also those made while one is being passed on") {
    fixture f;
    f.g.cancellable = false;
    f.g.forwarding = true;
    detail::task_context* task = nullptr;
    f.g.on_cancel = [&] {
        if (f.g.asked == 1) {
            std::thread([&] { CHECK(task->request_cancel(request_origin::external)); }).join();
        }
    };
    task = &f.start();
    CHECK(f.h.cancel());
    CHECK(f.g.asked == 2);
    CHECK(f.h.cancel());
    CHECK(f.g.asked == 3);
    f.g.wake();
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: a request that comes back to the task that passed it on is neither counted nor passed on again") {
    fixture f;
    f.g.cancellable = false;
    f.g.forwarding = true;
    detail::task_context* task = nullptr;
    f.g.on_cancel = [&] { CHECK(task->request_cancel(request_origin::external)); };
    task = &f.start();
    CHECK(f.h.cancel());
    CHECK(f.g.asked == 1);
    CHECK(task->cancel_count() == 1);
    f.g.wake();
    CHECK_FALSE(f.cut_short());
}

TEST_CASE("the word: a pending request refuses a wait, but is passed on by a forwarding one") {
    gate refused;
    gate forwards;
    forwards.forwarding = true;
    forwards.cancellable = false;
    runtime rt(threads(2));
    auto const body = [&]() -> task<bool> {
        this_task::cancel();
        bool const cut = co_await through(refused);
        this_task::cancel();
        co_await through(forwards);
        co_return cut;
    };
    auto h = rt.spawn(body());
    until([&] { return forwards.waiting.load(); });
    CHECK(forwards.asked == 1);
    forwards.wake();
    h.blocking_wait();
    CHECK(h.result().value());
    CHECK_FALSE(refused.waiting);
}

TEST_CASE("the word: under a shield nothing is delivered and no wait can be cancelled") {
    gate g;
    runtime rt(threads(2));
    auto const body = [&]() -> task<bool> {
        detail::task_context& self = *detail::current_context();
        ++self.shield_depth;
        bool const cut = co_await through(g);
        co_await this_task::checkpoint();
        co_await this_task::yield();
        co_await sleep(1us);
        --self.shield_depth;
        CHECK(this_task::cancelling() == 1);
        CHECK(self.take_request());
        CHECK_FALSE(self.take_request());
        co_return cut;
    };
    auto h = rt.spawn(body());
    until([&] { return g.waiting.load(); });
    CHECK(h.cancel());
    CHECK(g.asked == 0);
    g.wake();
    h.blocking_wait();
    CHECK_FALSE(h.result().value());
}

TEST_CASE("uncancel: counts down, withdraws at zero; rearm: pending again while a count is left") {
    detail::task_context task([](detail::task_context&, detail::finish_kind) noexcept -> std::coroutine_handle<> {
        return std::noop_coroutine();
    });
    CHECK(task.uncancel() == 0);
    task.rearm();
    CHECK_FALSE(task.request_pending());
    CHECK(task.request_cancel(request_origin::scope));
    CHECK(task.request_cancel(request_origin::scope));
    CHECK((task.cancel_count() == 2 && task.request_pending()));
    CHECK(task.take_request());
    CHECK((task.cancel_count() == 2 && !task.request_pending()));
    task.rearm();
    CHECK(task.request_pending());
    CHECK(task.uncancel() == 1);
    CHECK(task.request_pending());
    CHECK(task.uncancel() == 0);
    CHECK_FALSE(task.request_pending());
    task.rearm();
    CHECK_FALSE(task.request_pending());
    task.mark_finished();
    CHECK_FALSE(task.request_cancel(request_origin::external));
}

TEST_CASE("the count saturates instead of running into its neighbours") {
    detail::task_context task([](detail::task_context&, detail::finish_kind) noexcept -> std::coroutine_handle<> {
        return std::noop_coroutine();
    });
    for (unsigned i = 0; i < 40'000; ++i) {
        task.request_cancel(request_origin::external);
    }
    CHECK_FALSE(task.finished());
    CHECK(task.cancel_count() == 32'767);
    CHECK(task.take_request());
    CHECK(task.uncancel() == 32'766);
}

struct told : detail::open_scope {
    void owner_cancelled() noexcept override { ++times; }
    int times = 0;
};

TEST_CASE("open scopes are told of a delivered request from outside, not of one of the task's own") {
    detail::task_context task([](detail::task_context&, detail::finish_kind) noexcept -> std::coroutine_handle<> {
        return std::noop_coroutine();
    });
    told inner;
    told outer;
    inner.outer = &outer;
    detail::extras_of(task).scopes = &inner;
    task.request_cancel(request_origin::scope);
    task.consume_request();
    CHECK((inner.times == 0 && outer.times == 0));
    task.request_cancel(request_origin::scope);
    task.request_cancel(request_origin::external);
    CHECK((inner.times == 0 && outer.times == 0));
    task.consume_request();
    CHECK((inner.times == 1 && outer.times == 1));
    task.consume_request();
    CHECK((inner.times == 1 && outer.times == 1));
    task.request_cancel(request_origin::external);
    while (task.uncancel() != 0) {
    }
    task.consume_request();
    CHECK((inner.times == 1 && outer.times == 1));
}

// As a primitive does it: whoever takes the grant first decides.
class contested : public gate {
public:
    bool try_cancel() noexcept override { return !granted.exchange(true); }
    std::atomic<bool> granted{false};
};

TEST_CASE("the word: a completion against a request, on two threads: one of them ends the wait, the task runs once") {
    runtime rt(threads(2));
    unsigned const n = rounds(3000);
    bool right = true;
    for (unsigned r = 0; r < n; ++r) {
        contested g;
        auto h = rt.spawn(passes(g));
        until([&] { return g.waiting.load(); });
        std::atomic<bool> woken{false};
        std::thread waker([&] {
            if (!g.granted.exchange(true)) {
                woken = true;
                g.wake();
            }
        });
        h.cancel();
        waker.join();
        h.blocking_wait();
        right = right && h.result().value() == !woken;
    }
    CHECK(right);
}

}  // namespace
