#include <magpie/runtime/outcome.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using magpie::outcome;

namespace {

std::exception_ptr boom() {
    return std::make_exception_ptr(std::runtime_error("boom"));
}

// Counts the objects that are alive, and throws on copy or move when told to.
struct tracked {
    explicit tracked(int n) : number(n) { ++alive; }
    tracked(tracked const& other) : number(other.number) { begin(); }
    tracked(tracked&& other) : number(std::exchange(other.number, -1)) { begin(); }
    tracked& operator=(tracked const&) = delete;
    ~tracked() { --alive; }

    static void begin() {
        if (explode) {
            throw std::out_of_range("copy");
        }
        ++alive;
    }

    int number;
    inline static int alive = 0;
    inline static bool explode = false;
};

struct immovable {
    immovable(int a, int b) : sum(a + b) {}
    immovable(immovable const&) = delete;
    immovable& operator=(immovable const&) = delete;
    int sum;
};

}  // namespace

TEST_CASE("an outcome with a value") {
    outcome<int> const o = 3;
    CHECK(o.has_value());
    CHECK(o);
    CHECK_FALSE(o.cancelled());
    CHECK_FALSE(o.empty());
    CHECK(o.error() == nullptr);
    CHECK(o.value() == 3);
}

TEST_CASE("an outcome with an error rethrows it, and error() is that very exception") {
    auto const thrown = boom();
    outcome<std::string> o = thrown;
    CHECK_FALSE(o.has_value());
    CHECK_FALSE(o);
    CHECK_FALSE(o.cancelled());
    CHECK(o.error() == thrown);
    CHECK_THROWS_WITH_AS(o.value(), "boom", std::runtime_error);
    CHECK_THROWS_AS(std::as_const(o).value(), std::runtime_error);
    CHECK_THROWS_AS(std::move(o).value(), std::runtime_error);
}

TEST_CASE("a cancelled outcome throws child_cancelled to whoever looks") {
    auto const o = outcome<int>::make_cancelled();
    CHECK(o.cancelled());
    CHECK_FALSE(o.has_value());
    CHECK_THROWS_AS(o.value(), magpie::child_cancelled);
    REQUIRE(o.error() != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(o.error()), magpie::child_cancelled);
}

TEST_CASE("a default outcome is empty, and asking it for anything is a usage error") {
    outcome<int> const o;
    CHECK(o.empty());
    CHECK_FALSE(o.has_value());
    CHECK_FALSE(o.cancelled());
    CHECK_THROWS_AS(o.value(), magpie::usage_error);
    CHECK_THROWS_AS((void)o.error(), magpie::usage_error);
}

TEST_CASE("value() keeps the category of the outcome") {
    static_assert(std::is_same_v<decltype(std::declval<outcome<int>&>().value()), int&>);
    static_assert(std::is_same_v<decltype(std::declval<outcome<int> const&>().value()), int const&>);
    static_assert(std::is_same_v<decltype(std::declval<outcome<int>>().value()), int&&>);
    static_assert(std::is_same_v<decltype(std::declval<outcome<int&>>().value()), int&>);
    static_assert(std::is_same_v<decltype(std::declval<outcome<int&> const&>().value()), int&>);
    static_assert(std::is_same_v<decltype(std::declval<outcome<int const&>&>().value()), int const&>);
    static_assert(std::is_void_v<decltype(std::declval<outcome<void>>().value())>);
}

TEST_CASE("an rvalue outcome gives its value away, an lvalue does not") {
    outcome<std::unique_ptr<int>> o = std::make_unique<int>(7);
    o.value().reset(new int(8));
    auto const taken = std::move(o).value();
    CHECK(*taken == 8);
    CHECK(o.value() == nullptr);
}

TEST_CASE("void and reference outcomes") {
    outcome<void> v;
    CHECK_THROWS_AS(v.value(), magpie::usage_error);
    v.emplace();
    CHECK(v.has_value());
    CHECK_NOTHROW(v.value());
    v.set_error(boom());
    CHECK_THROWS_AS(v.value(), std::runtime_error);

    int number = 1;
    outcome<int&> r = number;
    r.value() = 5;
    CHECK(number == 5);
    CHECK(&std::as_const(r).value() == &number);
    int other = 2;
    r.emplace(other);
    CHECK(&r.value() == &other);
}

TEST_CASE("a value is made in place, without a move or a default constructor") {
    outcome<immovable> o(std::in_place, 2, 3);
    CHECK(o.value().sum == 5);
    o.emplace(4, 4);
    CHECK(o.value().sum == 8);
    static_assert(!std::is_copy_constructible_v<outcome<immovable>>);
    static_assert(!std::is_move_constructible_v<outcome<immovable>>);
}

TEST_CASE("an outcome is as copyable and as movable as its value") {
    static_assert(std::is_copy_constructible_v<outcome<int>>);
    static_assert(std::is_copy_assignable_v<outcome<std::string>>);
    static_assert(!std::is_copy_constructible_v<outcome<std::unique_ptr<int>>>);
    static_assert(!std::is_copy_assignable_v<outcome<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_constructible_v<outcome<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_assignable_v<outcome<std::string>>);
    static_assert(!std::is_nothrow_move_constructible_v<outcome<tracked>>);
    static_assert(std::is_convertible_v<char const*, outcome<std::string>>);
    static_assert(!std::is_convertible_v<int, outcome<std::vector<int>>>);
    static_assert(std::is_constructible_v<outcome<std::vector<int>>, int>);
}

TEST_CASE("an exception_ptr makes an error, even where the value could be made from it") {
    outcome<std::exception_ptr> const failed = boom();
    CHECK_FALSE(failed.has_value());
    outcome<std::exception_ptr> const value(std::in_place, boom());
    CHECK(value.has_value());
    CHECK(value.error() == nullptr);
    outcome<bool> const flag = boom();
    CHECK_FALSE(flag.has_value());
}

TEST_CASE("copying and moving carry each state over, and every value dies once") {
    {
        outcome<tracked> const source(std::in_place, 4);
        outcome<tracked> copy = source;
        CHECK(copy.value().number == 4);
        CHECK(tracked::alive == 2);
        outcome<tracked> moved = std::move(copy);
        CHECK(moved.value().number == 4);
        CHECK(copy.value().number == -1);
        moved = outcome<tracked>(boom());
        CHECK_THROWS_AS(moved.value(), std::runtime_error);
        moved = source;
        CHECK(moved.value().number == 4);
        moved = *&moved;
        CHECK(moved.value().number == 4);
        moved = outcome<tracked>::make_cancelled();
        CHECK(moved.cancelled());
        auto const cancelled = moved;
        CHECK(cancelled.cancelled());
        moved = outcome<tracked>();
        CHECK(moved.empty());
        copy.reset();
        CHECK(copy.empty());
        CHECK(tracked::alive == 1);
    }
    CHECK(tracked::alive == 0);
}

TEST_CASE("an assignment whose copy throws leaves the outcome empty and loses nothing else") {
    {
        outcome<tracked> const source(std::in_place, 4);
        outcome<tracked> target(std::in_place, 5);
        tracked::explode = true;
        CHECK_THROWS_AS(target = source, std::out_of_range);
        tracked::explode = false;
        CHECK(target.empty());
        CHECK(source.value().number == 4);
    }
    CHECK(tracked::alive == 0);
}

TEST_CASE("an error is shared by copies, not duplicated") {
    outcome<int> const o = boom();
    auto const copy = o;
    CHECK(copy.error() == o.error());
}
