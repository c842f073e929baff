#include <magpie/runtime/errors.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <string>
#include <type_traits>

namespace {

template <class E, class... Args>
std::exception_ptr error(Args&&... args) {
    return std::make_exception_ptr(E(std::forward<Args>(args)...));
}

magpie::exception_group group(std::vector<std::exception_ptr> errors) {
    return magpie::exception_group(std::move(errors));
}

}  // namespace

TEST_CASE("a cancelled task cannot be taken for an ordinary error") {
    static_assert(!std::is_base_of_v<std::exception, magpie::task_cancelled>);
    CHECK_THROWS_AS(
        [] {
            try {
                throw magpie::task_cancelled();
            } catch (std::exception const&) {
                FAIL("caught as std::exception");
            }
        }(),
        magpie::task_cancelled);
}

TEST_CASE_TEMPLATE("run-time errors are std::runtime_error with a message of their own or the caller's", E,
                   magpie::timeout_error, magpie::child_cancelled, magpie::group_aborting, magpie::queue_closed,
                   magpie::broken_barrier, magpie::limit_exceeded, magpie::deadlock_error, magpie::interrupted) {
    static_assert(std::derived_from<E, std::runtime_error>);
    CHECK(std::string(E().what()).size() > 5);
    CHECK(std::string(E("the reason").what()) == "the reason");
}

TEST_CASE("a usage error is a std::logic_error, a group and a config error are std::runtime_error") {
    static_assert(std::derived_from<magpie::usage_error, std::logic_error>);
    static_assert(std::derived_from<magpie::exception_group, std::runtime_error>);
    static_assert(std::derived_from<magpie::config_error, std::runtime_error>);
    static_assert(!std::derived_from<magpie::child_cancelled, magpie::timeout_error>);
}

TEST_CASE("describe names the type and the message") {
    CHECK(magpie::describe(nullptr) == "no error");
    CHECK(magpie::describe(error<std::runtime_error>("boom")) == "std::runtime_error: boom");
    CHECK(magpie::describe(error<magpie::timeout_error>()) == "magpie::timeout_error: timed out");
    CHECK(magpie::describe(std::make_exception_ptr(42)) == "exception of type int");
    CHECK(magpie::describe(error<magpie::task_cancelled>()) == "exception of type magpie::task_cancelled");
}

TEST_CASE("a group keeps its errors in order and names them in what()") {
    auto const first = error<std::runtime_error>("one");
    auto const second = error<std::logic_error>("two");
    auto const g = group({first, second});
    CHECK(g.size() == 2);
    CHECK(g.exceptions()[0] == first);
    CHECK(g.exceptions()[1] == second);
    CHECK(std::string(g.what()) == "2 errors: std::runtime_error: one; std::logic_error: two");
    CHECK(std::string(group({first}).what()) == "1 error: std::runtime_error: one");
    CHECK(std::string(group({first, first, first, first, first}).what()).ends_with("; and 2 more"));
    CHECK(std::string(group({}).what()) == "no errors");
}

TEST_CASE("copies of a group share their errors, and copying cannot throw") {
    static_assert(std::is_nothrow_copy_constructible_v<magpie::exception_group>);
    auto const g = group({error<std::runtime_error>("one")});
    auto const copy = g;
    CHECK(copy.exceptions().data() == g.exceptions().data());
}

TEST_CASE("rethrow_if_single throws the one error itself, and nothing for more or fewer") {
    auto const one = error<std::out_of_range>("one");
    CHECK_THROWS_AS(group({one}).rethrow_if_single(), std::out_of_range);
    CHECK_NOTHROW(group({one, one}).rethrow_if_single());
    CHECK_NOTHROW(group({}).rethrow_if_single());
}

TEST_CASE("rethrow_if_any throws the group unless it is empty") {
    CHECK_NOTHROW(group({}).rethrow_if_any());
    CHECK_THROWS_AS(group({error<std::out_of_range>("one")}).rethrow_if_any(), magpie::exception_group);
}

TEST_CASE("handle calls the function for each error of the type and returns the others in order") {
    auto const other = error<std::logic_error>("b");
    auto const last = std::make_exception_ptr(7);
    auto const g = group({error<std::runtime_error>("a"), other, error<std::range_error>("c"), last});
    std::string seen;
    auto const rest = g.handle<std::runtime_error>([&](std::runtime_error const& e) { seen += e.what(); });
    CHECK(seen == "ac");
    REQUIRE(rest.size() == 2);
    CHECK(rest.exceptions()[0] == other);
    CHECK(rest.exceptions()[1] == last);
    CHECK(g.size() == 4);
}

TEST_CASE("handle can be chained until nothing is left") {
    auto const g = group({error<std::out_of_range>("a"), error<std::runtime_error>("b")});
    int out_of_range = 0;
    int others = 0;
    CHECK_NOTHROW(g.handle<std::out_of_range>([&](auto const&) { ++out_of_range; })
                      .handle<std::exception>([&](auto const&) { ++others; })
                      .rethrow_if_any());
    CHECK(out_of_range == 1);
    CHECK(others == 1);
}

TEST_CASE("handle looks into nested groups and keeps what is left of them in place") {
    auto const kept = error<std::logic_error>("kept");
    auto const untouched = std::make_exception_ptr(group({kept}));
    auto const emptied = std::make_exception_ptr(group({error<std::runtime_error>("x")}));
    auto const mixed = std::make_exception_ptr(group({error<std::runtime_error>("y"), kept}));
    std::string seen;
    auto const rest = group({untouched, emptied, mixed}).handle<std::runtime_error>([&](std::runtime_error const& e) {
        seen += e.what();
    });
    CHECK(seen == "xy");
    REQUIRE(rest.size() == 2);
    CHECK(rest.exceptions()[0] == untouched);
    try {
        std::rethrow_exception(rest.exceptions()[1]);
    } catch (magpie::exception_group const& left) {
        REQUIRE(left.size() == 1);
        CHECK(left.exceptions()[0] == kept);
    }
}

TEST_CASE("what the handler throws leaves handle at once") {
    auto const g = group({error<std::runtime_error>("a"), error<std::runtime_error>("b")});
    int calls = 0;
    CHECK_THROWS_AS(g.handle<std::runtime_error>([&](auto const&) {
        ++calls;
        throw std::out_of_range("from the handler");
    }),
                    std::out_of_range);
    CHECK(calls == 1);
}

TEST_CASE("a config error says where, what and why in one sentence") {
    magpie::config_error const in_file({.file = "m.toml", .line = 3, .column = 11}, "runtime.workers", "\"lots\"",
                                       "is not allowed: use 1");
    CHECK(std::string(in_file.what()) == "m.toml:3:11: runtime.workers = \"lots\" is not allowed: use 1");
    CHECK(in_file.file == "m.toml");
    CHECK(in_file.line == 3);
    CHECK(in_file.column == 11);
    CHECK(in_file.key == "runtime.workers");
    CHECK(in_file.value == "\"lots\"");
    CHECK(in_file.why == "is not allowed: use 1");
    CHECK(in_file.variable.empty());

    magpie::config_error const whole_file({.file = "m.toml"}, "", "", "cannot be read");
    CHECK(std::string(whole_file.what()) == "m.toml: cannot be read");
    CHECK(whole_file.line == 0);

    magpie::config_error const in_environment({.variable = "MAGPIE_X"}, "runtime.workers", "0x3", "is not allowed");
    CHECK(std::string(in_environment.what()) == "environment variable MAGPIE_X=0x3 is not allowed");
    CHECK(in_environment.file.empty());

    CHECK(std::string(magpie::config_error({}, "runtime.pin", "7", "is bad").what()) == "config.pin = 7 is bad");
    CHECK(std::string(magpie::config_error({}, "io.sqpoll", "7", "is bad").what()) == "config.io.sqpoll = 7 is bad");
}
