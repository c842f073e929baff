// gather: what can be gathered, and what comes out of it.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

struct no_default {
    explicit no_default(int n) : number(n) {}
    int number;
};

TEST_CASE("GATHER-34: void gives monostate, T& a pointer; values need no default constructor and may be move-only") {
    int variable = 7;
    auto const refers = [](int& to) -> task<int&> {
        co_await sleep(1ms);
        co_return to;
    };
    auto const body = [&]() -> task<> {
        auto [nothing, pointer, unique, plain] = co_await gather(
            nap(1ms), refers(variable), after(1ms, std::make_unique<int>(3)), after(1ms, no_default(4)));
        static_assert(std::is_same_v<decltype(nothing), std::monostate>);
        static_assert(std::is_same_v<decltype(pointer), int*>);
        CHECK(pointer == &variable);
        CHECK(*unique == 3);
        CHECK(plain.number == 4);
        auto o = co_await gather(settled, nap(1ms), refers(variable));
        CHECK(std::get<0>(o).has_value());
        CHECK(&std::get<1>(o).value() == &variable);
    };
    run(body(), simulated());
}

TEST_CASE("anything awaitable can be gathered; handles that are moved in give their value") {
    auto const body = []() -> task<> {
        stopwatch const watch;
        auto h = spawn(after(3ms, std::make_unique<int>(5)));
        auto [a, b, c, inner] =
            co_await gather(sleep(2ms), this_task::yield(), std::move(h), gather(after(1ms, 1), nap(4ms)));
        static_assert(std::is_same_v<decltype(a), std::monostate> && std::is_same_v<decltype(b), std::monostate>);
        CHECK(*c == 5);
        CHECK(std::get<0>(inner) == 1);
        CHECK(watch.ms() == 4);
    };
    run(body(), simulated());
}

TEST_CASE("an lvalue handle stays the caller's and gives a pointer to the value; under settled a copy") {
    auto const body = []() -> task<> {
        auto h = spawn(after(3ms, std::string("value")));
        auto v = spawn(nap(3ms));
        auto [p, nothing] = co_await gather(h, v);
        static_assert(std::is_same_v<decltype(p), std::string*>);
        static_assert(std::is_same_v<decltype(nothing), std::monostate>);
        CHECK(p == &co_await h);
        auto o = co_await gather(settled, h, v);
        CHECK(std::get<0>(o).value() == "value");
        CHECK(co_await h == "value");
        CHECK(std::get<1>(o).has_value());
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-10, GATHER-13: a shared handle may be gathered several times; the task runs once") {
    int runs = 0;
    auto const counted = [&]() -> task<int> {
        ++runs;
        co_await sleep(2ms);
        co_return 5;
    };
    auto const body = [&]() -> task<> {
        auto const s = spawn(counted()).share();
        auto [a, b, c] = co_await gather(s, s, shared_handle<int>(s));
        static_assert(std::is_same_v<decltype(a), int const*> && std::is_same_v<decltype(c), int>);
        CHECK((a == b && *a == 5 && c == 5));
        CHECK(runs == 1);
        auto t = spawn(counted()).share();
        auto [first, second] = co_await gather(gather(t), gather(t));
        CHECK(std::get<0>(first) == std::get<0>(second));
        auto o = co_await gather(settled, t, t);
        CHECK(std::get<0>(o).value() + std::get<1>(o).value() == 10);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-32: handles whose tasks have ended already") {
    auto const body = []() -> task<> {
        auto a = spawn(after(1ms, 1));
        auto b = spawn(after(1ms, 2));
        co_await sleep(2ms);
        stopwatch const watch;
        auto [x, y, z] = co_await gather(a, std::move(b), after(1ms, 3));
        CHECK((*x == 1 && y == 2 && z == 3));
        CHECK(watch.ms() == 1);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-24, GATHER-25: a shield around a gather, and a gather of shields") {
    auto const body = []() -> task<> {
        trace seen;
        auto work = spawn(gather(cleans_up(seen, "a", 10ms, 1h), cleans_up(seen, "b", 10ms, 1h)));
        auto waits = spawn(shield(work));
        co_await sleep(1ms);
        waits.cancel();
        co_await sleep(1ms);
        CHECK(waits.cancelled());
        co_await work;
        CHECK(seen == trace{"a ended", "b ended"});

        auto c = spawn(after(10ms, 1));
        auto d = spawn(after(10ms, 2));
        auto both = spawn(gather(shield(c), shield(d)));
        co_await sleep(1ms);
        both.cancel();
        co_await sleep(1ms);
        CHECK(both.cancelled());
        int const sum = co_await c + co_await d;
        CHECK(sum == 3);
    };
    run(body(), simulated());
}

TEST_CASE("GATHER-26: gathers nest; cancelling one group leaves the others, cancelling the whole reaches every leaf") {
    auto const body = []() -> task<> {
        trace seen;
        auto leaf = [&](std::string name) { return cleans_up(seen, std::move(name), 10ms, 1ms); };
        auto one = spawn(gather(leaf("a"), leaf("b")));
        auto two = spawn(gather(leaf("c"), leaf("d")));
        auto all = spawn(gather(settled, std::move(one), two));
        co_await sleep(1ms);
        two.cancel();
        co_await sleep(20ms);
        CHECK(seen == trace{"c cancelled", "d cancelled", "c cleaned", "d cleaned", "a ended", "b ended"});
        auto o = co_await std::move(all);
        CHECK(std::get<0>(o).has_value());
        CHECK(std::get<1>(o).cancelled());

        seen.clear();
        auto tree = spawn(gather(gather(leaf("a"), leaf("b")), gather(leaf("c"), gather(leaf("d")))));
        co_await sleep(1ms);
        tree.cancel();
        co_await sleep(5ms);
        CHECK(tree.cancelled());
        CHECK(seen.size() == 8);
    };
    run(body(), simulated());
}

TEST_CASE("a gather that nobody awaits destroys its tasks un-started") {
    tally objects;
    auto const holds = [](token) -> task<> { co_return; };
    {
        auto g = gather(holds(token(objects)), holds(token(objects)));
        auto h = std::move(g);
        CHECK(objects.alive == 2);
    }
    CHECK(objects.alive == 0);
}

TEST_CASE("a gather may be moved before it is awaited: the handles in it are still joined, also by one that is cancelled") {
    auto const body = []() -> task<> {
        std::optional<handle_ref> self;
        auto const joins = [&](join_handle<> held, bool requested) -> task<> {
            auto g = gather(after(1ms, 1), std::move(held));
            auto const moved = std::make_unique<decltype(g)>(std::move(g));
            if (requested) {
                self->cancel();
            }
            co_await std::move(*moved);
        };
        for (bool const requested : {false, true}) {
            auto held = spawn(nap(1h));
            auto const task = held.ref();
            auto h = spawn(joins(std::move(held), requested));
            self = h.ref();
            co_await sleep(2ms);
            CHECK(task.cancelled() == requested);
            h.cancel();
            co_await sleep(1ms);
            CHECK(task.cancelled());
            CHECK(h.cancelled());
        }
        auto g = gather(after(2ms, 3), after(1ms, std::string("b")));
        auto moved = std::move(g);
        auto [x, y] = co_await std::move(moved);
        CHECK((x == 3 && y == "b"));
    };
    run(body(), simulated());
}

TEST_CASE("a value whose move throws is that child's error") {
    struct grenade {
        grenade() = default;
        grenade(grenade&& other) : moves(other.moves + 1) {
            if (moves == 2) {
                throw oops("moved");
            }
        }
        int moves = 0;
    };
    auto const makes = []() -> task<grenade> {
        grenade g;
        co_return g;
    };
    auto const body = [&]() -> task<> {
        std::string what;
        try {
            co_await gather(makes(), nap(1h));
        } catch (oops const& e) {
            what = e.what();
        }
        CHECK(what == "moved");
        auto o = co_await gather(settled, makes());
        CHECK_THROWS_AS(std::get<0>(o).value(), oops);
    };
    run(body(), simulated());
}

task<int> tree(int width, int depth) {
    if (depth == 0) {
        co_return 1;
    }
    std::vector<task<int>> children;
    for (int i = 0; i < width; ++i) {
        children.push_back(tree(width, depth - 1));
    }
    int sum = 1;
    for (int const each : co_await gather(std::move(children))) {
        sum += each;
    }
    co_return sum;
}

TEST_CASE("GATHER-31: recursion, 5 wide and 6 deep") {
    CHECK(run(tree(5, 6), threads(1)) == 19531);
    CHECK(run(tree(5, 6), threads(4)) == 19531);
    CHECK(run(tree(5, 4), simulated()) == 781);
}

task<int> fib(int n) {
    if (n < 2) {
        co_return n;
    }
    auto [a, b] = co_await gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

TEST_CASE("packs fork and join on several workers") {
    CHECK(run(fib(20), threads(1)) == 6765);
    CHECK(run(fib(20), threads(4)) == 6765);
    CHECK(run(fib(12), simulated()) == 144);
}

// Depth, not width: every level ends inside the one below.
task<int> chain(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    auto [below] = co_await gather(chain(depth - 1));
    co_return below + 1;
}

TEST_CASE("a chain of 100,000 gathers needs no stack") {
    CHECK(run(chain(100'000), threads(1)) == 100'000);
}

}  // namespace
