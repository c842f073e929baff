#include <magpie/runtime/detail/result_slot.hpp>

#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

static_assert(std::is_same_v<stored_t<int>, int>);
static_assert(std::is_same_v<stored_t<int&>, int*>);
static_assert(std::is_same_v<stored_t<int const&>, int const*>);
static_assert(std::is_same_v<stored_t<void>, std::monostate>);

TEST_CASE("result_slot: empty, then a value, then an error, then empty; what it held is destroyed") {
    tally count;
    result_slot<token> slot;
    CHECK_FALSE((slot.has_value() || slot.has_error()));
    slot.set_value(count);
    CHECK((slot.has_value() && count.alive == 1));
    slot.set_value(count);
    CHECK(count.alive == 1);
    slot.set_error(std::make_exception_ptr(std::runtime_error("e")));
    CHECK((slot.has_error() && !slot.has_value() && count.alive == 0));
    CHECK_THROWS_WITH((void)slot.get(), "e");
    slot.reset();
    CHECK_FALSE((slot.has_value() || slot.has_error()));
    {
        result_slot<token> other;
        other.set_value(count);
    }
    CHECK(count.alive == 0);
}

TEST_CASE("result_slot: get moves the value out; references come back as references; void as nothing") {
    result_slot<std::unique_ptr<int>> owned;
    owned.set_value(std::make_unique<int>(3));
    CHECK(*owned.get() == 3);
    int x = 0;
    result_slot<int&> reference;
    reference.set_value(&x);
    CHECK(&reference.get() == &x);
    result_slot<void> nothing;
    nothing.set_value();
    CHECK(nothing.has_value());
    nothing.get();
}

TEST_CASE("result_slot: take moves a value or an error over") {
    result_slot<std::string> a;
    result_slot<std::string> b;
    a.set_value(100, 'x');
    b.take(a);
    CHECK(b.get() == std::string(100, 'x'));
    a.set_error(std::make_exception_ptr(1));
    b.take(a);
    CHECK(b.has_error());
    CHECK_THROWS_AS((void)b.get(), int);
}

struct throwing {
    explicit throwing(bool now) {
        if (now) {
            throw std::runtime_error("made");
        }
    }
};

TEST_CASE("result_slot: a constructor that throws leaves it empty") {
    result_slot<throwing> slot;
    slot.set_value(false);
    CHECK_THROWS_AS(slot.set_value(true), std::runtime_error);
    CHECK_FALSE((slot.has_value() || slot.has_error()));
}

}  // namespace
