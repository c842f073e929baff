// What a list of the tasks says about those who wait, for every combinator.

#include <magpie/combinators/event.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

std::string awaited_by(runtime& rt, std::string_view name) {
    auto const tasks = rt.tasks();
    auto const at = std::ranges::find(tasks, name, &task_info::name);
    return at == tasks.end() ? "nobody" : at->awaits;
}

// What the list says that the task waits for, when it does.
template <class A>
std::string seen_waiting(A waiting) {
    runtime rt(simulated());
    std::string seen;
    auto const body = [&]() -> task<> {
        auto h = spawn(std::move(waiting), {.name = "the one"});
        co_await sleep(1ms);
        seen = awaited_by(rt, "the one");
        h.cancel();
        co_await sleep(1ms);
        CHECK(h.cancelled());
    };
    rt.block_on(body());
    return seen;
}

TEST_CASE("GATHER-33: the list shows that who gathers waits for its children") {
    CHECK(seen_waiting(gather(nap(1h), nap(2h))) == "its children");
}

TEST_CASE("WAIT-19: the list shows that who waits for several tasks does") {
    auto const waits = []() -> task<> {
        std::vector<join_handle<>> handles;
        handles.push_back(spawn(nap(1h)));
        handles.push_back(spawn(nap(2h)));
        auto const all = [](std::vector<join_handle<>>& each) -> task<> { co_await wait(each); };
        try {
            co_await all(handles);
        } catch (task_cancelled const&) {
            handles[0].cancel();
            handles[1].cancel();
            throw;
        }
    };
    CHECK(seen_waiting(waits()) == "several tasks");
}

TEST_CASE("TG-45: the list shows that the owner of a group waits for its children, and each of them") {
    auto const group = []() -> task<> {
        auto const block = [](task_group& g) {
            g.spawn(nap(1h), {.name = "child"});
            g.spawn(nap(1h));
        };
        co_await with_task_group(block);
    };
    CHECK(seen_waiting(group()) == "the tasks of its group");
    runtime rt(simulated());
    auto const body = [&]() -> task<> {
        auto h = spawn(group(), {.name = "owner"});
        co_await sleep(1ms);
        CHECK(awaited_by(rt, "child") == "sleep");
        h.cancel();
    };
    rt.block_on(body());
}

TEST_CASE("TO-24: the list looks through a timeout at what is waited for") {
    event never;
    auto const limited = [&]() -> task<> { co_await timeout(1h, never.wait()); };
    CHECK(seen_waiting(limited()) == "event");
    CHECK(seen_waiting(timeout(1h, gather(nap(2h), nap(2h)))) == "its children");
    auto const block = [](timeout_scope&) -> task<> { co_await sleep(2h); };
    CHECK(seen_waiting(with_timeout(1h, block)) == "sleep");
}

TEST_CASE("SH-11: the list shows that who awaits a shield waits for the task inside") {
    runtime rt(simulated());
    auto const body = [&]() -> task<> {
        auto inside = spawn(nap(1h), {.name = "inside"});
        auto outside = spawn(shield(inside), {.name = "outside"});
        co_await sleep(1ms);
        CHECK(awaited_by(rt, "outside") == "inside");
        outside.cancel();
        inside.cancel();
    };
    rt.block_on(body());
}

TEST_CASE("GATHER-33, DBG-05: the list is safe to read while gathers, groups and timeouts come and go") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<bool> stop{false};
        std::atomic<std::size_t> read{0};
        std::thread reader([&] {
            while (!stop) {
                for (auto const& each : rt.tasks()) {
                    read += each.awaits.size();
                }
            }
        });
        auto const work = [](unsigned i) -> task<> {
            auto const block = [&](task_group& g) {
                g.spawn(nap(std::chrono::microseconds(i % 5)));
                g.spawn(gather(nap(1us), nap(2us)));
            };
            try {
                co_await timeout(std::chrono::microseconds(i % 7), with_task_group(block));
            } catch (timeout_error const&) {
            }
        };
        for (unsigned i = 0; i < rounds(2000); ++i) {
            rt.block_on(work(i));
        }
        stop = true;
        reader.join();
        CHECK(rt.tasks().empty());
    }
}

}  // namespace
