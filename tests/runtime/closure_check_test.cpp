// The warnings themselves: tests/structure/closure_warning_test.py.
#include <magpie/runtime/detail/closure_check.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace magpie::detail;

TEST_CASE("the check accepts everything, and costs nothing at run time") {
    std::string s = "text";
    auto const by_value = [s] { return s.size(); };
    auto const by_reference = [&s] { return s.size(); };
    static_assert(noexcept(check_closure<decltype(by_value)&>()));
    check_closure<decltype(by_value) const&>();
    check_closure<decltype(by_reference)>();
    CHECK(by_value() == by_reference());
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13

struct aggregate {
    void operator()() const {}
    std::string text;
};

struct functor {
    explicit functor(std::string of) : text(std::move(of)) {}
    void operator()() const {}
    std::string text;
};

TEST_CASE("what g++ 12 destroys twice is told from what it does not") {
    std::string s = "text";
    auto by_value = [s] { return s.size(); };
    auto owns = [p = std::make_unique<int>(1)] { return *p; };
    auto changes = [s]() mutable { s.clear(); };
    auto number = [n = 1] { return n; };
    auto by_reference = [&s] { return s.size(); };
    auto bare = [] {};
    CHECK(is_risky_closure<decltype(by_value)>);
    CHECK(is_risky_closure<decltype(owns)>);
    CHECK(is_risky_closure<decltype(changes)>);
    CHECK(!is_risky_closure<decltype(by_value)&>);
    CHECK(!is_risky_closure<decltype(number)>);
    CHECK(!is_risky_closure<decltype(by_reference)>);
    CHECK(!is_risky_closure<decltype(bare)>);
    CHECK(is_risky_closure<aggregate>);
    CHECK(!is_risky_closure<functor>);
    CHECK(!is_risky_closure<std::function<void()>>);
    CHECK(!is_risky_closure<std::reference_wrapper<decltype(owns)>>);
    CHECK(!is_risky_closure<void (*)()>);
    CHECK(by_value() == by_reference());
    CHECK(owns() + number() == 2);
    changes();
    bare();
}

#endif

}  // namespace
