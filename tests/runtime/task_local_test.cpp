#include <magpie/runtime/task_local.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<task_local<int>>);

task_local<int> number;
task_local<std::string> word(std::string("unset"));

TEST_CASE("CTX-01: unset, a variable has its default; outside a task it can be read, not set") {
    CHECK(number.get() == 0);
    CHECK(word.get() == "unset");
    CHECK_THROWS_AS(number.set(1), usage_error);
    auto const body = []() -> task<> {
        CHECK(number.get() == 0);
        CHECK(word.get() == "unset");
        word.set("set");
        number.set(4);
        number.set(number.get() + 1);
        CHECK(word.get() == "set");
        CHECK(number.get() == 5);
        co_return;
    };
    run(body(), simulated());
    run(body(), simulated());  // a task of its own: nothing is left of the first
    CHECK(number.get() == 0);
}

TEST_CASE("CTX-01: a spawned task has a snapshot: what either sets later the other does not see") {
    auto const body = []() -> task<> {
        std::vector<std::string> seen;
        auto const child = [&]() -> task<> {
            seen.push_back("child " + word.get());
            word.set("child's");
            co_await this_task::yield();
            seen.push_back("child " + word.get());
        };
        word.set("yes");
        auto h = spawn(child());
        word.set("no");  // before the child has run
        co_await this_task::yield();
        seen.push_back("parent " + word.get());
        co_await std::move(h);
        seen.push_back("parent " + word.get());
        CHECK(seen == std::vector<std::string>{"child yes", "parent no", "child child's", "parent no"});
    };
    run(body(), simulated());
}

TEST_CASE("CTX-06: a coroutine that is awaited directly shares its caller's values") {
    auto const sets = [](std::string value) -> task<> {
        word.set(std::move(value));
        co_await this_task::yield();
    };
    auto const body = [&]() -> task<> {
        co_await sets("first");
        CHECK(word.get() == "first");
        co_await sets("second");
        CHECK(word.get() == "second");
    };
    run(body(), simulated());
}

TEST_CASE("EAG-06: an eager task sees the spawner's values at once, and its own do not leak into the spawner") {
    auto const body = []() -> task<> {
        number.set(1);
        int seen = 0;
        auto const child = [&]() -> task<> {
            seen = number.get();
            number.set(2);
            co_await this_task::yield();
            CHECK(number.get() == 2);
        };
        auto h = spawn(child(), {.eager = true});
        CHECK(seen == 1);
        CHECK(number.get() == 1);
        number.set(3);
        co_await std::move(h);
        CHECK(number.get() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("CTX-02: callbacks see the values of the task that registered them, and nobody sees theirs") {
    auto const body = []() -> task<> {
        auto h = spawn(sleep(1ms));
        std::vector<int> seen;
        number.set(1);
        h.on_done([&] {
            seen.push_back(number.get());
            number.set(7);
            seen.push_back(number.get());
        });
        number.set(2);
        h.on_done([&] { seen.push_back(number.get()); });
        auto const other = [&]() -> task<> {
            h.on_done([&] { seen.push_back(number.get()); });
            number.set(4);
            co_return;
        };
        number.set(3);
        co_await spawn(other());
        number.set(9);
        co_await h;
        co_await sleep(1ms);
        CHECK(seen == std::vector{1, 7, 2, 3});
        CHECK(number.get() == 9);
    };
    run(body(), simulated());
}

TEST_CASE("CTX-02: on_unhandled is called with the values of the task that failed") {
    auto c = simulated();
    std::vector<int> seen;
    c.hooks.on_unhandled = [&](event_info const&) { seen.push_back(number.get()); };
    auto const fails = [](int value) -> task<> {
        number.set(value);
        co_await this_task::yield();
        throw std::runtime_error("unseen");
    };
    auto const body = [&]() -> task<> {
        number.set(1);
        spawn_detached(fails(2));
        {
            auto const kept = spawn(fails(3));
            co_await sleep(1ms);
        }
        CHECK(number.get() == 1);
    };
    run(body(), c);
    CHECK(seen == std::vector{2, 3});
}

TEST_CASE("a function that is posted sees no other caller's values") {
    auto const body = []() -> task<> {
        std::vector<int> seen;
        auto h = spawn([]() -> task<> { co_return; });
        number.set(5);
        h.on_done([&] { seen.push_back(number.get()); });
        auto const clean = [&]() -> task<> {
            number.set(0);
            h.on_done([&] { seen.push_back(number.get()); });
            co_return;
        };
        co_await spawn(clean());
        co_await sleep(1ms);
        CHECK(seen == std::vector{5, 0});
    };
    run(body(), simulated());
}

TEST_CASE("values die with the last task that sees them, each once") {
    tally counted;
    task_local<std::optional<token>> held;
    auto const body = [&]() -> task<> {
        held.set(token(counted));
        CHECK(counted.alive == 1);
        held.set(token(counted));
        CHECK(counted.alive == 1);  // replaced in place
        auto const keeps = [&]() -> task<> {
            CHECK(held.get().has_value());
            co_await sleep(2ms);
        };
        auto h = spawn(keeps());
        held.set(std::nullopt);
        CHECK(counted.alive == 1);  // the child's
        co_await std::move(h);
        CHECK(counted.alive == 0);
        held.set(token(counted));
        auto never_runs = spawn(keeps());
        never_runs.cancel();
        co_await sleep(1ms);
        CHECK(never_runs.cancelled());
    };
    run(body(), simulated());
    CHECK(counted.alive == 0);
}

TEST_CASE("a value whose destructor uses task_locals finds the variables in order") {
    task_local<std::shared_ptr<int>> pointer;
    int seen = -1;
    auto const body = [&]() -> task<> {
        number.set(6);
        pointer.set(std::shared_ptr<int>(new int(1), [&](int* p) {
            seen = number.get();
            number.set(8);
            delete p;
        }));
        pointer.set(nullptr);
        CHECK(seen == 6);
        CHECK(number.get() == 8);
        co_return;
    };
    run(body(), simulated());
}

TEST_CASE("a variable that lies where another one was does not find its values") {
    auto const body = []() -> task<> {
        std::optional<task_local<int>> first(std::in_place);
        first->set(3);
        first.reset();
        std::optional<task_local<int>> second(std::in_place, 7);
        CHECK(second->get() == 7);
        co_return;
    };
    run(body(), simulated());
}

TEST_CASE("many variables, each of its own") {
    auto const body = []() -> task<> {
        std::vector<std::unique_ptr<task_local<int>>> variables;
        for (int i = 0; i < 50; ++i) {
            variables.push_back(std::make_unique<task_local<int>>(-i));
        }
        for (int i = 0; i < 50; i += 2) {
            variables[static_cast<std::size_t>(i)]->set(i);
        }
        auto const child = [&]() -> task<bool> {
            bool all = true;
            for (int i = 0; i < 50; ++i) {
                all = all && variables[static_cast<std::size_t>(i)]->get() == (i % 2 == 0 ? i : -i);
            }
            co_return all;
        };
        CHECK(co_await spawn(child()));
    };
    run(body(), simulated());
}

TEST_CASE("CTX-03: a hundred tasks set and read on several workers: the values go where the tasks go") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            std::atomic<int> wrong{0};
            auto const child = [&](int own) -> task<> {
                if (word.get() != "root") {
                    wrong.fetch_add(1);
                }
                for (int i = 0; i < static_cast<int>(rounds(200)); ++i) {
                    number.set(own * 1000 + i);
                    co_await this_task::yield();
                    if (number.get() != own * 1000 + i) {
                        wrong.fetch_add(1);
                    }
                    if (i % 50 == 0) {
                        auto const reads = [&]() -> task<int> { co_return number.get(); };
                        if (co_await spawn(reads()) != own * 1000 + i) {
                            wrong.fetch_add(1);
                        }
                        word.set("own " + std::to_string(own));
                    }
                }
                if (word.get() != "own " + std::to_string(own)) {
                    wrong.fetch_add(1);
                }
            };
            word.set("root");
            std::vector<join_handle<void>> t;
            for (int i = 0; i < 100; ++i) {
                t.push_back(spawn(child(i)));
            }
            word.set("later");
            for (auto& each : t) {
                co_await each;
            }
            CHECK(wrong == 0);
            CHECK(word.get() == "later");
        };
        rt.block_on(body());
    }
}

TEST_CASE("CTX-05: errno, the floating-point environment and thread_locals are the thread's, not the task's") {
    static thread_local int of_thread = 0;
    auto const body = []() -> task<> {
        auto const sets = []() -> task<> {
            of_thread = 5;
            number.set(5);
            co_return;
        };
        of_thread = 1;
        number.set(1);
        co_await spawn(sets());  // one worker: the same thread
        CHECK(of_thread == 5);
        CHECK(number.get() == 1);
    };
    run(body(), simulated());
}

} // namespace
