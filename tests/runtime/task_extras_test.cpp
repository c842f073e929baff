#include <magpie/runtime/detail/task_extras.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("task_extras: made on first use, then the same ones") {
    detail::task_context task([](detail::task_context&, detail::finish_kind) noexcept -> std::coroutine_handle<> {
        return std::noop_coroutine();
    });
    CHECK(task.extras == nullptr);
    detail::task_extras& made = detail::extras_of(task);
    CHECK(task.extras == &made);
    CHECK(&detail::extras_of(task) == &made);
    CHECK(made.scopes == nullptr);
}

TEST_CASE("task_extras: a spawned task's id and name need none; unnamed it is named after its id") {
    auto const body = []() -> task<> {
        auto plain = spawn([]() -> task<> { co_return; });
        auto named = spawn([]() -> task<> { co_return; }, {.name = "n"});
        CHECK(detail::id_of(plain.record()) == plain.id());
        CHECK(detail::name_of(plain.record()) == "task " + std::to_string(plain.id()));
        CHECK(detail::name_of(named.record()) == "n");
        CHECK(plain.record().extras == nullptr);
        CHECK(named.id() > plain.id());
        co_return;
    };
    run(body(), simulated());
}

TEST_CASE("task_extras: a child that is not spawned gets its id on first use, and keeps it") {
    auto const body = []() -> task<> {
        detail::task_context child([](detail::task_context&, detail::finish_kind) noexcept -> std::coroutine_handle<> {
            return std::noop_coroutine();
        });
        child.home = detail::current_context()->home;
        auto const id = detail::id_of(child);
        CHECK(id > this_task::id());
        CHECK(detail::id_of(child) == id);
        CHECK(detail::name_of(child) == "task " + std::to_string(id));
        co_return;
    };
    run(body(), simulated());
}

}  // namespace
