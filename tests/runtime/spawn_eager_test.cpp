// spawn(..., {.eager = true}): the task runs inside spawn() up to its first suspension.

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

using trace = std::vector<std::string>;
constexpr spawn_options eager{.eager = true, .where = {}};

task<int> value(int v) {
    co_return v;
}

TEST_CASE("EAG-01, EAG-03: a task that never suspends has ended when spawn returns, and cannot be cancelled") {
    auto const body = []() -> task<bool> {
        auto h = spawn(value(7), eager);
        bool ok = h.done() && !h.cancel() && h.result().value() == 7;
        int const v = co_await std::move(h);
        co_return ok && v == 7;
    };
    CHECK(run(body(), simulated()));
    CHECK(run(body(), threads(2)));
}

task<> two_steps(trace& seen) {
    seen.emplace_back("first step");
    co_await this_task::yield();
    seen.emplace_back("second step");
}

TEST_CASE("EAG-02: what follows the first suspension is queued like any other") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto h = spawn(two_steps(seen), eager);
        seen.emplace_back("spawner");
        CHECK_FALSE(h.done());
        co_await std::move(h);
    };
    run(body(), simulated());
    CHECK(seen == trace{"first step", "spawner", "second step"});
}

task<> waits(trace& seen) {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        seen.emplace_back("cancelled");
        throw;
    }
}

TEST_CASE("EAG-04: one that has suspended can be cancelled") {
    trace seen;
    auto const body = [&]() -> task<bool> {
        auto h = spawn(waits(seen), eager);
        bool const asked = h.cancel();
        co_await sleep(1ns);
        co_return asked && h.cancelled();
    };
    CHECK(run(body(), simulated()));
    CHECK(seen == trace{"cancelled"});
}

struct seen_ids {
    task_id inside = 0;
    unsigned worker = 0;
};

task<> looks_around(seen_ids& into) {
    into = {this_task::id(), this_task::worker()};
    co_await this_task::yield();
}

TEST_CASE("EAG-05: inside, the child is the current task, on the spawner's worker; afterwards the spawner is again") {
    auto const body = []() -> task<bool> {
        bool ok = true;
        for (int i = 0; i < 100; ++i) {
            task_id const before = this_task::id();
            unsigned const worker = this_task::worker();
            seen_ids seen;
            auto h = spawn(looks_around(seen), eager);
            ok = ok && seen.inside == h.id() && seen.inside != before && seen.worker == worker;
            ok = ok && this_task::id() == before && this_task::worker() == worker;
            co_await std::move(h);
        }
        co_return ok;
    };
    CHECK(run(body(), threads(4)));
}

task<> fails() {
    throw std::runtime_error("at once");
    co_return;
}

TEST_CASE("eager: an error in the first step is the task's, not spawn's") {
    auto const body = []() -> task<std::string> {
        auto h = spawn(fails(), eager);
        try {
            co_await std::move(h);
        } catch (std::runtime_error const& e) {
            co_return e.what();
        }
        co_return "";
    };
    CHECK(run(body(), simulated()) == "at once");
}

task<int> eager_tower(int height) {
    if (height == 0) {
        co_return 0;
    }
    auto h = spawn(eager_tower(height - 1), eager);
    int const below = co_await std::move(h);
    co_return below + 1;
}

TEST_CASE("eager: an eager task may spawn eagerly") {
    CHECK(run(eager_tower(100), simulated()) == 100);
    CHECK(run(eager_tower(100), threads(2)) == 100);
}

TEST_CASE("EAG-07: an eager task is registered from its first step until its end") {
    runtime rt(simulated());
    auto const counts = [](runtime& of) -> task<std::size_t> {
        std::size_t const now = of.tasks().size();
        co_await this_task::yield();
        co_return now;
    };
    auto const body = [&]() -> task<std::string> {
        auto done = spawn(value(1), eager);
        std::size_t const after_the_first = rt.tasks().size();
        auto h = spawn(eager, counts, std::ref(rt));
        std::size_t const while_suspended = rt.tasks().size();
        std::size_t const inside = co_await std::move(h);
        std::size_t const at_the_end = rt.tasks().size();
        co_return std::to_string(after_the_first) + std::to_string(inside) + std::to_string(while_suspended) +
            std::to_string(at_the_end);
    };
    CHECK(rt.block_on(body()) == "1221");
    CHECK(rt.tasks().empty());
}

TEST_CASE("eager: from a foreign thread the task is queued: it runs on a worker") {
    runtime rt(threads(2));
    std::thread::id const here = std::this_thread::get_id();
    auto const asks = []() -> task<std::thread::id> { co_return std::this_thread::get_id(); };
    auto h = rt.spawn(eager, asks);
    h.blocking_wait();
    CHECK(h.result().value() != here);
}

task<> bumps(std::atomic<int>& counter, int levels) {
    ++counter;
    if (levels != 0) {
        spawn_detached(bumps(counter, levels - 1), eager);
        co_await this_task::yield();
        spawn_detached(bumps(counter, levels - 1), eager);
    }
}

TEST_CASE("eager: a storm of eager tasks on several workers loses none") {
    std::atomic<int> counter{0};
    {
        runtime rt(threads(4));
        for (int i = 0; i < 20; ++i) {
            rt.spawn(bumps(counter, 8), eager).detach();
        }
        until([&] { return counter == 20 * 511; });
    }
    CHECK(counter == 20 * 511);
}

}  // namespace
