// first_success: a staggered race, and what becomes of the losers.

#include <magpie/combinators/first_success.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <combinators/support/counting_source.hpp>
#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

template <class... Tasks>
std::vector<task<int>> candidates(Tasks... tasks) {
    std::vector<task<int>> all;
    (all.push_back(std::move(tasks)), ...);
    return all;
}

template <class A>
task<std::vector<std::string>> messages_of(A race) {
    std::vector<std::string> messages;
    try {
        (void)co_await std::move(race);
        messages.push_back("value");
    } catch (exception_group const& errors) {
        for (auto const& each : errors.exceptions()) {
            messages.push_back(describe(each));
        }
    }
    co_return messages;
}

TEST_CASE("RACE-01: without candidates there is no winner, and no error in the group") {
    auto const body = []() -> task<> {
        CHECK((co_await messages_of(first_success(candidates()))).empty());
        CHECK((co_await messages_of(first_success(candidates(), {.stagger = 1ms}))).empty());
    };
    run(body(), simulated());
}

TEST_CASE("RACE-02: the winner, its index, and the errors of those that failed before") {
    auto const body = []() -> task<> {
        auto a = co_await first_success(candidates(after(5ms, 1)));
        CHECK(a.index == 0);
        CHECK(a.value == 1);
        CHECK(a.errors == std::vector<std::exception_ptr>{nullptr});

        stopwatch const watch;
        auto b = co_await first_success(candidates(fails_after(1ms, "one"), after(5ms, 2), after(1h, 3)),
                                        {.stagger = duration::max()});
        CHECK(b.index == 1);
        CHECK(b.value == 2);
        CHECK(watch.ms() == 6);  // the second began when the first had failed, the third never
        REQUIRE(b.errors.size() == 2);
        CHECK(ends_with(describe(b.errors[0]), "one"));
        CHECK(b.errors[1] == nullptr);

        std::vector<task<>> naps;
        naps.push_back(nap(2ms));
        auto c = co_await first_success(std::move(naps));
        CHECK(c.value == std::monostate());
        std::vector<task<std::unique_ptr<int>>> unique;
        unique.push_back(after(1ms, std::make_unique<int>(4)));
        auto d = co_await first_success(std::move(unique));
        CHECK(*d.value == 4);
    };
    run(body(), simulated());
}

TEST_CASE("RACE-03: the next begins after the stagger, or when the one begun last has failed; the slow are cancelled") {
    trace seen;
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        auto starts = [&](std::string name, duration d, bool good) -> task<int> {
            seen.push_back(name + " at " + std::to_string(watch.ms()));
            co_await sleep(d);
            if (!good) {
                throw oops(name);
            }
            co_return 7;
        };
        auto x =
            co_await first_success(candidates(cleans_up(seen, "slow", 1h, 3ms), starts("b", 20ms, false),
                                              starts("c", 5ms, false), starts("d", 30ms, true), starts("e", 1h, true)),
                                   {.stagger = 50ms});
        CHECK(x.index == 3);
        // b fails at 70, before its 50 ms are over: c begins; c fails at 75: d begins, and has succeeded at 105.
        CHECK(watch.ms() == 108);
        CHECK(seen == trace{"b at 50", "c at 70", "d at 75", "slow cancelled", "slow cleaned"});
        int made = 0;
        auto lazy = co_await first_success(counting_source(100, made), {.stagger = 10ms});
        CHECK(lazy.value == 0);
        CHECK(made == 1);
    };
    run(body(), simulated());
}

TEST_CASE("RACE-04: none succeeds: all errors, in the order of the candidates") {
    auto const body = []() -> task<> {
        auto const texts = co_await messages_of(first_success(
            candidates(fails_after(5ms, "one"), fails_after(1ms, "two"), fails_after(3ms, "three")), {.stagger = 1ms}));
        REQUIRE(texts.size() == 3);
        CHECK(ends_with(texts[0], "one"));
        CHECK(ends_with(texts[1], "two"));
        CHECK(ends_with(texts[2], "three"));
        auto cancelled = spawn(after(1h, 1));
        cancelled.cancel();
        std::vector<join_handle<int>> handles;
        handles.push_back(std::move(cancelled));
        CHECK((co_await messages_of(first_success(std::move(handles)))).size() == 1);
        CHECK_THROWS_AS((void)first_success(candidates(), {.stagger = -1ms}), std::invalid_argument);
        auto bad = std::views::iota(0, 5) |
                   std::views::transform([](int i) { return i == 1 ? throw oops("range") : after(1h, i); });
        CHECK(co_await how(first_success(bad, {.stagger = 1ms})) == "range");
    };
    run(body(), simulated());
}

TEST_CASE("RACE-05: several succeed at once: the first is the winner, the others' values are destroyed") {
    tally of;
    auto const gives = [&](duration d) -> task<token> {
        co_await sleep(d);
        co_return token(of);
    };
    auto const body = [&]() -> task<> {
        auto x =
            co_await first_success(std::views::iota(0, 3) | std::views::transform([&](int) { return gives(1ms); }));
        CHECK(x.index == 0);
        CHECK(of.alive == 1);
        CHECK(of.made == 3);
    };
    run(body(), simulated());
    CHECK(of.alive == 0);

    auto const yields = [&](unsigned times) -> task<token> {
        for (unsigned i = 0; i < times; ++i) {
            co_await this_task::yield();
        }
        co_return token(of);
    };
    auto const race = [&](unsigned round) -> task<> {
        auto make = [&](unsigned i) { return yields((i + round) % 4); };
        auto x = co_await first_success(std::views::iota(0U, 8U) | std::views::transform(make));
        CHECK(x.errors.size() == 8);
    };
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned i = 0; i < rounds(1000); ++i) {
            rt.block_on(race(i));
            REQUIRE(of.alive == 0);
        }
    }
}

TEST_CASE(
    "RACE-06: cancelled while racing: all are cancelled, each once, and joined; a success in spite of it counts") {
    trace seen;
    int deliveries = 0;
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const body = [&]() -> task<> {
        int made = 0;
        auto make = [&](int i) {
            ++made;
            return cleans_up(seen, std::to_string(i), 1h, std::chrono::milliseconds(3 - i));
        };
        auto h = spawn(first_success(std::views::iota(0, 9) | std::views::transform(make), {.stagger = 10ms}));
        co_await sleep(15ms);
        stopwatch const watch;
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(made == 2);
        CHECK(watch.ms() == 3);
        CHECK(seen == trace{"0 cancelled", "1 cancelled", "1 cleaned", "0 cleaned"});

        auto twice = spawn(first_success(candidates(resists(deliveries, 5, 5ms), fails_after(1h, "no"))));
        co_await sleep(1ms);
        twice.cancel();
        co_await sleep(1ms);
        twice.cancel();
        auto const x = co_await std::move(twice);
        CHECK(x.index == 0);
        CHECK(deliveries == 2);

        CHECK(co_await how(timeout(5ms, first_success(candidates(after(1h, 1)), {.stagger = 1ms}))) == "timeout");
        this_task::cancel();
        made = 0;
        CHECK(co_await how(first_success(std::views::iota(0, 9) | std::views::transform(make))) == "cancelled");
        CHECK(made == 0);
        (void)this_task::uncancel();
    };
    run(body(), c);
    CHECK(suppressed.size() == 0);
}

TEST_CASE("EAG-09: candidates that end at once, without suspending, and handles of eager tasks") {
    auto const ready = [](int i) -> task<int> { co_return i; };
    auto const fails = [](int) -> task<int> {
        throw oops("at once");
        co_return 0;
    };
    auto const body = [&]() -> task<> {
        auto a = co_await first_success(std::views::iota(5, 9) | std::views::transform(ready), {.stagger = 1ms});
        CHECK(a.value == 5);
        CHECK((co_await messages_of(
                   first_success(std::views::iota(0, 100) | std::views::transform(fails), {.stagger = 1ms})))
                  .size() == 100);
        std::vector<join_handle<int>> eager;
        eager.push_back(spawn(fails(1), {.eager = true}));
        eager.push_back(spawn(ready(6), {.eager = true}));
        CHECK(eager[0].done());
        auto b = co_await first_success(std::move(eager));
        CHECK(b.index == 1);
        CHECK(b.value == 6);
    };
    run(body(), simulated());
}

TEST_CASE("a loser's error is suppressed; BEY-14: a request races the winner on several workers") {
    event_log suppressed;
    config c = simulated();
    c.hooks.on_suppressed = suppressed.listener();
    auto const spoils = []() -> task<int> {
        bool asked = false;
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            asked = true;
        }
        if (asked) {
            throw oops("while unwinding");
        }
        co_return 1;
    };
    auto const body = [&]() -> task<> {
        CHECK((co_await first_success(candidates(after(1ms, 1), spoils()))).value == 1);
    };
    run(body(), c);
    CHECK(suppressed.size() == 1);

    tally of;
    auto const gives = [&](unsigned times) -> task<token> {
        for (unsigned i = 0; i < times; ++i) {
            co_await this_task::yield();
        }
        co_return token(of);
    };
    runtime rt(threads(4));
    for (unsigned i = 0; i < rounds(2000); ++i) {
        auto make = [&gives](unsigned n) { return gives(n); };
        auto h = rt.spawn(first_success(std::views::iota(i % 5, i % 5 + 3) | std::views::transform(make),
                                        {.stagger = std::chrono::microseconds(i % 3)}));
        some_moments(i % 50);
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled() != h.result().has_value());
        CHECK(of.alive == (h.cancelled() ? 0 : 1));  // the losers' values are gone
        h = {};
        until([&] { return of.alive == 0; });  // the worker's reference may be the last
    }
}

}  // namespace
