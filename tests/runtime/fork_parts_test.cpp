// Parts of a join whose children are made by hand. What gather makes of them: tests/combinators/gather_flow_test.cpp.

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/fork_parts.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/task.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

class row final : public detail::fork_join {
public:
    row() { context = detail::current_context(); }

private:
    bool cancel_children() noexcept override { return false; }
};

class record final : public detail::fork_join::child {
public:
    explicit record(task<>&& body) : child(&record::finished) {
        auto const frame = detail::release_frame(std::move(body));
        frame.promise().run_as(*this);
        handle = frame;
    }

private:
    static std::coroutine_handle<> finished(detail::task_context& context, detail::finish_kind) noexcept {
        auto& self = static_cast<record&>(context);
        self.mark_finished();
        self.handle.destroy();
        return self.join->arrive(self);
    }
};

class hand_made final : public detail::fork_parts::part {
public:
    using part::part;
    void refill(int first, int count, task<> (*make)(std::vector<int>&, int), std::vector<int>& order) {
        records_.clear();
        clear();
        for (int i = first; i < first + count; ++i) {
            add(records_.emplace_back(make(order, i)), *detail::current_context(), *detail::current_worker());
        }
    }

private:
    std::deque<record> records_;
};

task<> notes(std::vector<int>& order, int i) {
    order.push_back(i);
    co_return;
}

task<> yields(std::vector<int>& order, int i) {
    order[static_cast<std::size_t>(i)] += 1;
    co_await this_task::yield();
    order[static_cast<std::size_t>(i)] += 1;
}

TEST_CASE("a part whose children end inline is given back at once; they start in the order in which they were added") {
    auto const body = []() -> task<> {
        std::vector<int> order;
        row whole;
        detail::fork_parts parts(whole);
        hand_made one(parts);
        CHECK(parts.take_ended() == nullptr);
        for (int first = 0; first < 100; first += 20) {
            one.refill(first, 20, notes, order);
            co_await parts.launch(one);
            co_await parts.taken_up();
            CHECK(parts.take_ended() == &one);
            CHECK(parts.take_ended() == nullptr);
        }
        co_await parts.rest_ended();
        std::vector<int> expected(100);
        std::iota(expected.begin(), expected.end(), 0);
        CHECK(order == expected);
    };
    run(body(), threads(1));
}

TEST_CASE("parts whose children wait are ended by the last of them, on any worker, and the maker waits for all") {
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(200); ++round) {
            std::vector<int> counts(400, 0);
            row whole;
            detail::fork_parts parts(whole);
            std::vector<std::unique_ptr<hand_made>> all;
            for (int first = 0; first < 400; first += 40) {
                auto* next = static_cast<hand_made*>(parts.take_ended());
                if (next == nullptr) {
                    next = all.emplace_back(std::make_unique<hand_made>(parts)).get();
                }
                next->refill(first, 40, yields, counts);
                co_await parts.launch(*next);
                co_await parts.taken_up();
            }
            co_await parts.rest_ended();
            CHECK(counts == std::vector<int>(400, 2));
        }
    };
    run(body(), threads(1));
    run(body(), threads(2));
    run(body(), threads(8));
}

TEST_CASE("the children of pinned tasks, and those under the simulated clock, are not made in parts") {
    auto const asks = []() -> task<bool> { co_return detail::fork_parts::possible(*detail::current_context()); };
    CHECK(run(asks(), threads(1)));
    CHECK(!run(asks(), simulated()));
    runtime rt(threads(2));
    auto pinned = rt.spawn(asks(), {.pinned = true});
    pinned.blocking_wait();
    CHECK(!pinned.result().value());
}

}  // namespace
