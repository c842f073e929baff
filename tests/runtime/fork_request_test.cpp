// A thief that has found nothing asks, and who has forks answers at its next resumption: with forks.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/fork_request.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("fork_request: a wish brings the next look forward, and stays until it is answered") {
    detail::fork_request request;
    request.due_at(61);
    CHECK_FALSE(request.is_due(60));
    CHECK(request.is_due(61));
    CHECK_FALSE(request.is_wanted());

    request.ask();
    CHECK(request.is_due(1));
    CHECK(request.is_wanted());
    request.due_at(122);  // there are no forks
    CHECK_FALSE(request.is_due(121));
    request.ask();  // the same wish: it need not be looked at again until there are some
    CHECK_FALSE(request.is_due(121));
    CHECK(request.is_wanted());

    request.answered();
    CHECK_FALSE(request.is_wanted());
    request.ask();
    CHECK(request.is_due(1));
}

template <class Make>
std::vector<task<>> some(int count, Make const& make) {
    std::vector<task<>> made;
    for (int i = 0; i < count; ++i) {
        made.push_back(make());
    }
    return made;
}

TEST_CASE("fork_request: who asks for forks gets some before the next child begins, also if none of them forks") {
    config c = threads(2);
    c.rescue = false;
    runtime rt(c);
    std::atomic<bool> busy{false};
    std::atomic<bool> let_go{false};
    std::atomic<int> here{0};
    std::atomic<int> elsewhere{0};
    auto const nothing = []() -> task<> { co_return; };
    auto const body = [&]() -> task<> {
        unsigned const home = this_task::worker();
        auto const other_sleeps = [&] { return rt.snapshot().workers[1 - home].parks; };
        auto const holds = [&]() -> task<> {
            busy = true;
            until([&] { return let_go.load(); });
            co_return;
        };
        auto const other = spawn(holds());
        until([&] { return busy.load(); });
        // An earlier request is answered with these.
        co_await gather(some(4, nothing));
        auto const child = [&]() -> task<> {
            if (this_task::worker() != home) {
                elsewhere.fetch_add(1);
            } else if (here.fetch_add(1) == 0) {
                auto const slept = other_sleeps();
                let_go = true;
                until([&] { return elsewhere.load() > 0 || other_sleeps() > slept; });
            } else {
                until([&] { return elsewhere.load() > 0; });
            }
            co_return;
        };
        co_await gather(some(40, child));
    };
    rt.block_on(body());
    CHECK(here.load() + elsewhere.load() == 40);
    CHECK(elsewhere.load() > 0);
}

}  // namespace
