#include <magpie/runtime/scheduler/tell_hook.hpp>

#include <doctest/doctest.h>

#include <stdio.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <source_location>
#include <stdexcept>
#include <string>

namespace {

using namespace magpie;

// What is written to stderr meanwhile.
template <class F>
std::string said(F&& f) {
    std::fflush(stderr);
    FILE* const file = std::tmpfile();
    int const before = ::dup(2);
    ::dup2(fileno(file), 2);
    f();
    std::fflush(stderr);
    ::dup2(before, 2);
    ::close(before);
    std::string text;
    std::rewind(file);
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
        text += static_cast<char>(c);
    }
    std::fclose(file);
    return text;
}

event_info example() {
    event_info info;
    info.error = std::make_exception_ptr(std::runtime_error("the cause"));
    info.id = 3;
    info.name = "worker bee";
    info.context = "something failed";
    info.where = std::source_location::current();
    return info;
}

TEST_CASE("tell: without a hook one line on stderr: what, who, where, why") {
    std::string const text = said([] { detail::tell({}, example()); });
    for (char const* const part : {"magpie: ", "something failed", "worker bee", "tell_hook_test.cpp", "the cause"}) {
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("tell: with a hook nothing is printed") {
    std::string name;
    CHECK(said([&] { detail::tell([&](event_info const& info) { name = info.name; }, example()); }).empty());
    CHECK(name == "worker bee");
}

TEST_CASE("tell: what a hook throws is printed and dropped, also if it is no std::exception") {
    std::string const text = said([] {
        detail::tell([](event_info const&) { throw std::logic_error("from the hook"); }, example());
        detail::tell([](event_info const&) { throw 5; }, example());
    });
    CHECK(text.find("from the hook") != std::string::npos);
    CHECK(text.find("int") != std::string::npos);
}

}  // namespace
