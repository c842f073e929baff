// gather of ranges: what is a range, and large numbers. Limits and progress: gather_limit_test.cpp.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/counting_source.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("GATHER-27: containers that are moved in, views, single-pass sources") {
    auto const body = []() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 10; ++i) {
            tasks.push_back(after(std::chrono::milliseconds(10 - i), i));
        }
        std::vector<int> const a = co_await gather(std::move(tasks));
        CHECK(a == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});

        auto numbers = std::views::iota(0, 5) | std::views::transform([](int i) { return after(1ms, i * i); });
        std::vector<int> const b = co_await gather(numbers);
        CHECK(b == std::vector{0, 1, 4, 9, 16});

        std::list<task<int>> list;
        list.push_back(after(2ms, 1));
        list.push_back(after(1ms, 2));
        std::vector<int> const c = co_await gather(std::move(list));
        CHECK(c == std::vector{1, 2});

        int made = 0;
        auto g = gather(counting_source(4, made));
        CHECK(made == 0);
        std::vector<int> const d = co_await std::move(g);
        CHECK(d == std::vector{0, 1, 2, 3});

        auto odd = std::views::iota(0, 10) | std::views::filter([](int i) { return i % 2 == 1; }) |
                   std::views::transform([](int i) { return after(1ms, i); });
        std::vector<int> const e = co_await gather(std::move(odd));
        CHECK(e == std::vector{1, 3, 5, 7, 9});
    };
    run(body(), simulated());
    run(body(), threads(2));
}

TEST_CASE("GATHER-07: a range of nothing") {
    auto const body = []() -> task<> {
        std::vector<int> const v = co_await gather(std::vector<task<int>>());
        CHECK(v.empty());
        co_await gather(std::vector<task<>>());
        auto const o = co_await gather(settled, std::vector<task<int>>());
        CHECK(o.empty());
        std::vector<int> const w = co_await gather(std::vector<task<int>>(), {.limit = 3});
        CHECK(w.empty());
    };
    run(body(), simulated());
}

TEST_CASE("vector<bool>, void, references, move-only values, settled") {
    int x = 1;
    int y = 2;
    auto const refers = [](int& to) -> task<int&> { co_return to; };
    auto const body = [&]() -> task<> {
        std::vector<task<bool>> flags;
        for (int i = 0; i < 200; ++i) {
            flags.push_back(after(std::chrono::milliseconds(i % 7), i % 3 == 0));
        }
        std::vector<bool> const bits = co_await gather(std::move(flags));
        CHECK(std::ranges::count(bits, true) == 67);
        CHECK((bits[198] && !bits[199]));

        std::vector<task<>> naps;
        naps.push_back(nap(1ms));
        static_assert(std::is_void_v<await_result_t<decltype(gather(std::move(naps)))>>);
        co_await gather(std::move(naps));

        std::vector<task<int&>> references;
        references.push_back(refers(x));
        references.push_back(refers(y));
        std::vector<int*> const pointers = co_await gather(std::move(references));
        CHECK(pointers == std::vector{&x, &y});

        std::vector<task<std::unique_ptr<int>>> unique;
        unique.push_back(after(1ms, std::make_unique<int>(4)));
        auto const owned = co_await gather(std::move(unique));
        CHECK(*owned.at(0) == 4);

        std::vector<task<int>> mixed;
        mixed.push_back(fails_after(1ms, "one"));
        mixed.push_back(after(2ms, 2));
        std::vector<outcome<int>> const outcomes = co_await gather(settled, std::move(mixed));
        CHECK(outcomes.at(0).error() != nullptr);
        CHECK(outcomes.at(1).value() == 2);
    };
    run(body(), simulated());
}

TEST_CASE("ranges of handles: moved in they give values, as an lvalue pointers") {
    auto const body = []() -> task<> {
        std::vector<join_handle<int>> handles;
        for (int i = 0; i < 3; ++i) {
            handles.push_back(spawn(after(std::chrono::milliseconds(3 - i), i)));
        }
        std::vector<int*> const pointers = co_await gather(handles);
        CHECK((*pointers.at(0) == 0 && *pointers.at(2) == 2));
        CHECK(pointers[1] == &co_await handles[1]);
        std::vector<outcome<int>> const outcomes = co_await gather(settled, handles);
        CHECK(outcomes.at(1).value() == 1);
        std::vector<int> const values = co_await gather(std::move(handles));
        CHECK(values == std::vector{0, 1, 2});
    };
    run(body(), simulated());
}

TEST_CASE("the first error of a range cancels the rest and is thrown when all have ended") {
    auto const body = []() -> task<> {
        trace seen;
        stopwatch const watch;
        std::vector<task<int>> tasks;
        tasks.push_back(cleans_up(seen, "a", 1h, 5ms));
        tasks.push_back(fails_after(10ms, "b"));
        tasks.push_back(cleans_up(seen, "c", 1h, 7ms));
        std::string what;
        try {
            co_await gather(std::move(tasks));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "b");
        CHECK(watch.ms() == 17);
        CHECK(seen == trace{"a cancelled", "c cancelled", "a cleaned", "c cleaned"});
    };
    run(body(), simulated());
}

TEST_CASE("an error in the range's own code destroys what was made") {
    tally objects;
    auto const holds = [](token) -> task<> { co_return; };
    auto const make = [&](int i) {
        if (i == 3) {
            throw oops("range");
        }
        return holds(token(objects));
    };
    auto const body = [&](std::size_t limit) -> task<> {
        std::string what;
        try {
            co_await gather(std::views::iota(0, 5) | std::views::transform(make), {.limit = limit});
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "range");
        CHECK(objects.alive == 0);
    };
    run(body(0), simulated());
    run(body(2), simulated());
}

TEST_CASE("a million children that return at once, and many that sleep") {
    int const many = static_cast<int>(rounds(1'000'000));
    int const sleepers = static_cast<int>(rounds(100'000));
    auto const at_once = [](int i) -> task<int> { co_return i; };
    auto const body = [&]() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < many; ++i) {
            tasks.push_back(at_once(i));
        }
        auto const v = co_await gather(std::move(tasks));
        CHECK(std::ranges::equal(v, std::views::iota(0, many)));
        co_await gather(std::views::iota(0, sleepers) | std::views::transform([](int) { return nap(100ms); }));
    };
    run(body(), threads(1));
    run(body(), threads(2));
    run(body(), simulated());
}

TEST_CASE("a failure among very many un-started siblings needs no stack") {
    auto const first_fails = [](int i) -> task<int> {
        if (i == 0) {
            throw oops("first");
        }
        co_return i;
    };
    auto const body = [&]() -> task<> {
        std::string what;
        try {
            co_await gather(std::views::iota(0, 200'000) | std::views::transform(first_fails));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "first");
    };
    run(body(), threads(1));
    run(body(), simulated());
}

}  // namespace
