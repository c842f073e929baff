#include <magpie/runtime/detail/fork_join.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;
using detail::finish_kind;

// The least that a gather does: runs children, keeps their first error, counts those that were never started.
class all_of final : public detail::fork_join {
public:
    explicit all_of(std::vector<task<>> bodies) {
        for (auto& body : bodies) {
            records_.push_back(std::make_unique<record>(std::move(body)));
            children_.push_back(records_.back().get());
        }
    }
    all_of(all_of const&) = delete;
    all_of& operator=(all_of const&) = delete;
    ~all_of() {
        if (was_cancelled()) {  // refused: no child has begun
            for (auto& each : records_) {
                each->handle.destroy();
            }
        }
    }

    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        return launch(parent, *parent.promise().context(), children_);
    }
    // How many children never started.
    int await_resume() {
        if (was_cancelled()) {
            detail::deliver_cancellation(*context);
        }
        int unstarted = 0;
        for (auto const& each : records_) {
            unstarted += each->unstarted ? 1 : 0;
            if (each->error != nullptr && !detail::is_cancellation(each->error)) {
                std::rethrow_exception(each->error);
            }
        }
        detail::deliver_if_due(*context);
        return unstarted;
    }

private:
    struct record final : child {
        explicit record(task<> body) : child(&finished) {
            auto const frame = detail::release_frame(std::move(body));
            frame.promise().run_as(*this);
            handle = frame;
        }
        static std::coroutine_handle<> finished(detail::task_context& context, finish_kind kind) noexcept {
            auto& self = static_cast<record&>(context);
            auto const frame = std::coroutine_handle<detail::task_promise<void>>::from_address(self.handle.address());
            self.unstarted = kind == finish_kind::unstarted;
            if (kind == finish_kind::ran && frame.promise().result().has_error()) {
                self.error = frame.promise().result().error();
            }
            frame.destroy();
            self.mark_finished();
            return self.join->arrive(self);
        }
        std::exception_ptr error;
        bool unstarted = false;
    };

    bool cancel_children() noexcept override {
        bool accepted = false;
        for (auto& each : records_) {
            accepted = each->request_cancel(detail::request_origin::external) || accepted;
        }
        return accepted;
    }

    std::vector<std::unique_ptr<record>> records_;
    std::vector<child*> children_;
};

class forks {
public:
    explicit forks(std::vector<task<>> bodies) : bodies_(std::move(bodies)) {}
    all_of operator co_await() && { return all_of(std::move(bodies_)); }

private:
    std::vector<task<>> bodies_;
};

task<> counts(std::atomic<unsigned>& into) {
    into.fetch_add(1);
    co_return;
}

task<> notes(std::vector<int>& order, int i, bool yields) {
    order.push_back(i);
    if (yields) {
        co_await this_task::yield();
        order.push_back(100 + i);
    }
}

TEST_CASE("fork_join: under the simulated clock children run in argument order, through the queue") {
    std::vector<int> order;
    auto const body = [&]() -> task<> {
        std::vector<task<>> all;
        for (int i = 0; i < 3; ++i) {
            all.push_back(notes(order, i, true));
        }
        auto joined = forks(std::move(all));
        co_await std::move(joined);
    };
    run(body(), simulated());
    CHECK(order == std::vector{0, 1, 2, 100, 101, 102});
}

TEST_CASE("fork_join: on one worker children that never suspend run in argument order, inline") {
    std::vector<int> order;
    auto const body = [&]() -> task<> {
        std::vector<task<>> all;
        for (int i = 0; i < 300; ++i) {
            all.push_back(notes(order, i, false));
        }
        auto joined = forks(std::move(all));
        co_await std::move(joined);
    };
    run(body(), threads(1));
    REQUIRE(order.size() == 300);
    bool in_order = true;
    for (int i = 0; i < 300; ++i) {
        in_order = in_order && order[static_cast<std::size_t>(i)] == i;
    }
    CHECK(in_order);
}

// Children that end inline, that suspend, that are stolen, with joins inside joins.
task<> tree(std::atomic<unsigned>& leaves, unsigned depth, unsigned salt) {
    if (depth == 0) {
        if (salt % 7 == 0) {
            co_await this_task::yield();
        } else if (salt % 11 == 0) {
            co_await sleep(1us);
        }
        ++leaves;
        co_return;
    }
    std::vector<task<>> all;
    unsigned const width = 1 + salt % 4;
    for (unsigned i = 0; i < width; ++i) {
        all.push_back(tree(leaves, depth - 1, salt * 31 + i));
    }
    if (width == 1) {
        all.push_back(counts(leaves));
    }
    auto joined = forks(std::move(all));
    co_await std::move(joined);
}

TEST_CASE("fork_join: trees of joins on one to eight workers: the same leaves every time, each once") {
    std::atomic<unsigned> expected{0};
    run(tree(expected, 7, 5), simulated());
    for (unsigned const workers : {1U, 2U, 3U, 4U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(100); ++r) {
            std::atomic<unsigned> leaves{0};
            rt.block_on(tree(leaves, 7, 5), {.name = "main", .pinned = r % 10 == 0});
            REQUIRE(leaves == expected);
        }
    }
}

TEST_CASE("fork_join: what a child does happens before the parent goes on, whoever ran it") {
    runtime rt(threads(4));
    auto const writes = [](unsigned& plain, unsigned value) -> task<> {
        if (value % 3 == 0) {
            co_await this_task::yield();
        }
        plain = value;
    };
    auto const body = [&]() -> task<bool> {
        bool right = true;
        for (unsigned r = 0; r < rounds(3000); ++r) {
            std::vector<unsigned> plain(8, 0);
            std::vector<task<>> all;
            for (unsigned i = 0; i < 8; ++i) {
                all.push_back(writes(plain[i], r + i));
            }
            auto joined = forks(std::move(all));
            co_await std::move(joined);
            for (unsigned i = 0; i < 8; ++i) {
                right = right && plain[i] == r + i;
            }
        }
        co_return right;
    };
    CHECK(rt.block_on(body()));
}

TEST_CASE("fork_join: a pinned parent's children stay on its worker") {
    runtime rt(threads(4));
    std::atomic<unsigned> strays{0};
    auto const looks = [](std::atomic<unsigned>& wrong, unsigned home) -> task<> {
        for (int i = 0; i < 5; ++i) {
            wrong += this_task::worker() != home ? 1U : 0U;
            co_await this_task::yield();
        }
    };
    auto const body = [&]() -> task<> {
        for (int r = 0; r < 20; ++r) {
            std::vector<task<>> all;
            for (int i = 0; i < 20; ++i) {
                all.push_back(looks(strays, this_task::worker()));
            }
            auto joined = forks(std::move(all));
            co_await std::move(joined);
        }
    };
    rt.block_on(body(), {.pinned = true});
    CHECK(strays == 0);
}

task<> waits() {
    co_await sleep(1h);
}

TEST_CASE("fork_join: a request reaches the children, also those that wait in joins of their own") {
    for (bool const virtual_time : {true, false}) {
        CAPTURE(virtual_time);
        runtime rt(virtual_time ? simulated() : threads(2));
        auto const two = []() -> task<> {
            std::vector<task<>> all;
            all.push_back(waits());
            all.push_back(waits());
            auto joined = forks(std::move(all));
            co_await std::move(joined);
        };
        auto const body = [&]() -> task<> {
            std::vector<task<>> all;
            all.push_back(two());
            all.push_back(waits());
            all.push_back(two());
            auto joined = forks(std::move(all));
            co_await std::move(joined);
        };
        auto h = rt.spawn(body());
        if (virtual_time) {
            rt.block_on(this_task::yield());
            rt.block_on(this_task::yield());
        } else {
            until([&] { return rt.snapshot().totals().timers == 5; });
        }
        CHECK(h.cancel());
        h.blocking_wait();
        CHECK(h.cancelled());
        CHECK(rt.snapshot().totals().timers == 0);
    }
}

TEST_CASE("fork_join: a request that is pending before the start: no child runs; frames are destroyed") {
    tally count;
    auto const holds = [](token) -> task<> { co_return; };
    auto const body = [&]() -> task<bool> {
        std::vector<task<>> all;
        all.push_back(holds(token(count)));
        all.push_back(holds(token(count)));
        this_task::cancel();
        auto joined = forks(std::move(all));
        try {
            co_await std::move(joined);
        } catch (task_cancelled const&) {
            co_return true;
        }
        co_return false;
    };
    CHECK(run(body(), simulated()));
    CHECK(count.alive == 0);
}

TEST_CASE("fork_join: children cancelled before their first step never run, and the join still ends") {
    std::atomic<unsigned> ran{0};
    auto const body = [&]() -> task<int> {
        std::vector<task<>> all;
        for (int i = 0; i < 10; ++i) {
            all.push_back(counts(ran));
        }
        auto joined = forks(std::move(all));
        co_return co_await std::move(joined);
    };
    runtime rt(simulated());
    auto const cancels = [](handle_ref h) -> task<> {
        h.cancel();
        co_return;
    };
    auto h = rt.spawn(body());
    auto c = rt.spawn(cancels(h.ref()));  // runs after the launch and before the children
    h.blocking_wait();
    CHECK(h.cancelled());
    CHECK(ran == 0);
}

TEST_CASE("fork_join: cancelled at any moment on several workers: every frame ends, none twice") {
    runtime rt(threads(3));
    tally count;
    auto const holds = [](token, unsigned kind) -> task<> {
        if (kind % 3 == 0) {
            co_await sleep(1h);
        } else if (kind % 3 == 1) {
            co_await this_task::yield();
        }
    };
    auto const body = [&](unsigned salt) -> task<> {
        std::vector<task<>> all;
        for (unsigned i = 0; i < 6; ++i) {
            all.push_back(holds(token(count), salt + i));
        }
        auto joined = forks(std::move(all));
        co_await std::move(joined);
    };
    bool right = true;
    for (unsigned r = 0; r < rounds(2000); ++r) {
        auto h = rt.spawn(body(r));
        for (unsigned gap = 0; gap < (r * 29) % 2048; ++gap) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        h.cancel();
        h.blocking_wait();
        right = right && h.cancelled();
    }
    CHECK(right);
    CHECK(count.alive == 0);
    CHECK(rt.snapshot().totals().timers == 0);
}

}  // namespace
