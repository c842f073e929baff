#include <magpie/runtime/detail/spawned.hpp>

#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

struct noting final : detail::watcher {
    void task_ended(detail::spawned_base&) noexcept override { ++told; }
    std::atomic<int> told{0};
};

task<int> value(int v) {
    co_await this_task::yield();
    co_return v;
}

TEST_CASE("is_cancellation: of task_cancelled alone") {
    CHECK(detail::is_cancellation(std::make_exception_ptr(task_cancelled())));
    CHECK_FALSE(detail::is_cancellation(std::make_exception_ptr(child_cancelled())));
    CHECK_FALSE(detail::is_cancellation(std::make_exception_ptr(5)));
}

TEST_CASE("spawned: every watcher that is linked at the end is told once; one that was unlinked, never") {
    runtime rt(simulated());
    noting stays;
    noting leaves;
    noting late;
    auto h = rt.spawn(value(1));
    auto& record = h.record();
    CHECK(record.watch(stays));
    CHECK(record.watch(leaves));
    CHECK(record.unwatch(leaves));
    CHECK_FALSE(record.unwatch(leaves));
    h.blocking_wait();
    CHECK((stays.told == 1 && leaves.told == 0));
    CHECK_FALSE(record.watch(late));
    CHECK_FALSE(record.unwatch(stays));
    CHECK(late.told == 0);
}

TEST_CASE("spawned: watching and leaving against the end: told, or unlinked in time, never both") {
    runtime rt(threads(2));
    bool right = true;
    for (unsigned r = 0; r < rounds(10'000); ++r) {
        noting w;
        auto h = rt.spawn(value(1));
        bool const watching = h.record().watch(w);
        for (unsigned gap = 0; gap < (r * 17) % 512; ++gap) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        bool const left = watching && h.record().unwatch(w);
        right = right && w.told == (watching && !left ? 1 : 0);  // unwatch() returns after whoever tells
        h.blocking_wait();
        right = right && w.told == (watching && !left ? 1 : 0);
    }
    CHECK(right);
}

// A task group's part.
struct owner final : detail::task_owner {
    void child_ended(detail::spawned_base& child) noexcept override {
        right = right && child.ended();
        ++ended;
    }
    std::atomic<int> ended{0};
    bool right = true;
};

TEST_CASE("spawned: its owner is told once, after the end; an owned error is the owner's and never reported") {
    event_log log;
    config c = simulated();
    c.hooks.on_unhandled = log.listener();
    owner group;
    {
        runtime rt(c);
        auto const fails = []() -> task<int> {
            throw std::runtime_error("e");
            co_return 1;
        };
        auto const body = [&]() -> task<> {
            auto& shared = detail::required_scheduler("test");
            auto& a = detail::start_task(shared, value(1), {}, &group);
            auto& b = detail::start_task(shared, fails(), {}, &group);
            auto& d = detail::start_task(shared, value(2), {}, &group);
            d.request_cancel(detail::request_origin::external);
            while (group.ended != 3) {
                co_await this_task::yield();
            }
            CHECK((a.result().has_value() && b.error() != nullptr && d.ended_cancelled()));
            CHECK(d.error() == nullptr);
            for (detail::spawned_base* each : {static_cast<detail::spawned_base*>(&a),
                                               static_cast<detail::spawned_base*>(&b),
                                               static_cast<detail::spawned_base*>(&d)}) {
                each->release_handle();
            }
        };
        rt.block_on(body());
    }
    CHECK((group.ended == 3 && group.right));
    CHECK(log.size() == 0);
}

struct explosive {
    explosive() = default;
    explosive(explosive&& other) : moves(other.moves + 1) {
        if (moves == 2) {
            throw std::runtime_error("the second move");
        }
    }
    explosive& operator=(explosive&&) = delete;
    int moves = 0;
};

task<explosive> gives_explosive() {
    co_return explosive();
}

TEST_CASE("spawned: a value whose move throws on the way into the record becomes the task's error") {
    runtime rt(simulated());
    auto h = rt.spawn(gives_explosive());
    h.blocking_wait();
    CHECK_FALSE(h.result().has_value());
    CHECK_THROWS_WITH((void)h.result().value(), "the second move");
}

TEST_CASE("spawned: arguments and frame are gone when the end is told; the value is not") {
    tally arguments;
    tally values;
    runtime rt(simulated());
    auto const makes = [](token, tally& into) -> task<token> { co_return token(into); };
    auto h = rt.spawn(makes, token(arguments), std::ref(values));
    h.blocking_wait();
    CHECK(arguments.alive == 0);
    CHECK(values.alive == 1);
    h = {};
    CHECK(values.alive == 0);
}

TEST_CASE("spawned: handles copied and dropped on four threads while the task ends: freed once") {
    tally values;
    {
        runtime rt(threads(2));
        auto const makes = [](tally& into) -> task<token> { co_return token(into); };
        for (unsigned r = 0; r < rounds(500); ++r) {
            auto shared = rt.spawn(makes, std::ref(values)).share();
            std::vector<std::thread> all;
            for (int t = 0; t < 3; ++t) {
                all.emplace_back([copy = shared] {
                    for (int i = 0; i < 20; ++i) {
                        auto another = copy;
                        auto const ref = another.ref();
                        (void)ref.done();
                    }
                });
            }
            shared = {};
            for (auto& each : all) {
                each.join();
            }
        }
    }
    CHECK(values.alive == 0);
}

}  // namespace
