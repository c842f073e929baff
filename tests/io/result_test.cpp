#include <magpie/io/result.hpp>

#include <doctest/doctest.h>

#include <expected>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <errno.h>

namespace {

using magpie::io::failure;
using magpie::io::result;

result<int> positive(int x) {
    if (x < 0) {
        return failure(EINVAL);
    }
    return x;
}

result<> only(bool ok) {
    if (!ok) {
        return failure(std::errc::timed_out);
    }
    return {};
}

TEST_CASE("a result is an expected with an error_code") {
    static_assert(std::is_base_of_v<std::expected<int, std::error_code>, result<int>>);
    CHECK(positive(3).has_value());
    CHECK(*positive(3) == 3);
    CHECK(!positive(-1));
    CHECK(positive(-1).error() == std::errc::invalid_argument);
    CHECK(positive(-1).value_or(7) == 7);
    CHECK(only(true).has_value());
    CHECK(only(false).error() == std::errc::timed_out);
}

TEST_CASE("value() without a value throws what an expected throws, and says which error it was") {
    CHECK_THROWS_AS((void)positive(-1).value(), std::bad_expected_access<std::error_code>);
    CHECK_THROWS_AS(only(false).value(), std::bad_expected_access<std::error_code>);
    try {
        (void)positive(-1).value();
        FAIL("no exception");
    } catch (std::bad_expected_access<std::error_code> const& thrown) {
        CHECK(thrown.error() == std::errc::invalid_argument);
        CHECK(std::string(thrown.what()).find(std::make_error_code(std::errc::invalid_argument).message()) !=
              std::string::npos);
    }
}

TEST_CASE("value() gives a reference to the value, or moves it out") {
    result<std::unique_ptr<int>> owner(std::make_unique<int>(5));
    static_assert(std::is_same_v<decltype(owner.value()), std::unique_ptr<int>&>);
    CHECK(*owner.value() == 5);
    std::unique_ptr<int> const taken = std::move(owner).value();
    CHECK(*taken == 5);
}

TEST_CASE("and_then() goes on with the value, and passes an error on") {
    auto const half = [](int x) -> result<std::string> {
        if (x % 2 != 0) {
            return failure(EDOM);
        }
        return std::to_string(x / 2);
    };
    CHECK(*positive(8).and_then(half) == "4");
    CHECK(positive(7).and_then(half).error() == std::errc::argument_out_of_domain);
    CHECK(positive(-1).and_then(half).error() == std::errc::invalid_argument);
    CHECK(*only(true).and_then([] { return positive(1); }) == 1);
    CHECK(only(false).and_then([] { return positive(1); }).error() == std::errc::timed_out);
}

TEST_CASE("transform() changes the value, also to and from nothing, and moves where it may") {
    CHECK(*positive(2).transform([](int x) { return x + 0.5; }) == 2.5);
    CHECK(positive(-2).transform([](int x) { return x + 0.5; }).error() == std::errc::invalid_argument);
    int calls = 0;
    CHECK(positive(2).transform([&](int) { ++calls; }).has_value());
    CHECK(!positive(-2).transform([&](int) { ++calls; }).has_value());
    CHECK(calls == 1);
    CHECK(*only(true).transform([] { return 4; }) == 4);
    result<std::unique_ptr<int>> owner(std::make_unique<int>(6));
    CHECK(*std::move(owner).transform([](std::unique_ptr<int> p) { return *p; }) == 6);
}

TEST_CASE("or_else() and transform_error() deal with the error alone") {
    auto const repair = [](std::error_code) -> result<int> { return 9; };
    CHECK(*positive(1).or_else(repair) == 1);
    CHECK(*positive(-1).or_else(repair) == 9);
    auto const name = [](std::error_code e) { return e.value(); };
    CHECK(positive(-1).transform_error(name).error() == EINVAL);
    CHECK(*positive(1).transform_error(name) == 1);
    CHECK(only(false).transform_error(name).error() == ETIMEDOUT);
    CHECK(positive(-1).error_or({}) == std::errc::invalid_argument);
    CHECK(positive(1).error_or({}) == std::error_code{});
}

}  // namespace
