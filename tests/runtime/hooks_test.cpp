#include <magpie/runtime/hooks.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

TEST_CASE("hooks are empty to begin with") {
    magpie::hooks const hooks;
    CHECK_FALSE(hooks.on_unhandled);
    CHECK_FALSE(hooks.on_suppressed);
    CHECK_FALSE(hooks.on_stall);
}

TEST_CASE("an event says nothing until it is filled in") {
    magpie::event_info const event;
    CHECK(event.error == nullptr);
    CHECK(event.id == 0);
    CHECK(event.name.empty());
    CHECK(event.context.empty());
    CHECK(event.where.line() == 0);
    CHECK(event.age == magpie::duration::zero());
}

TEST_CASE("a hook sees the event it is given, also through a copy of the hooks") {
    std::string seen;
    magpie::hooks hooks;
    hooks.on_unhandled = [&](magpie::event_info const& event) {
        try {
            std::rethrow_exception(event.error);
        } catch (std::runtime_error const& error) {
            seen = std::string(event.name) + "/" + error.what();
        }
    };
    auto const copy = hooks;
    copy.on_unhandled({.error = std::make_exception_ptr(std::runtime_error("boom")), .id = 3, .name = "reader"});
    CHECK(seen == "reader/boom");
}
