#include "magpie/load_error.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <set>
#include <string_view>
#include <system_error>

using magpie::tools::classify;
using magpie::tools::load_error;
using magpie::tools::name_of;

namespace {

load_error kind_of(int error) {
    return classify(std::error_code(error, std::system_category()));
}

}  // namespace

TEST_CASE("load errors: what sockets meet") {
    CHECK(kind_of(ECONNREFUSED) == load_error::refused);
    CHECK(kind_of(ECONNRESET) == load_error::reset);
    CHECK(kind_of(EPIPE) == load_error::reset);
    CHECK(kind_of(ETIMEDOUT) == load_error::timeout);
    CHECK(kind_of(EHOSTUNREACH) == load_error::unreachable);
    CHECK(kind_of(ENETUNREACH) == load_error::unreachable);
    CHECK(kind_of(EMFILE) == load_error::too_many_files);
    CHECK(kind_of(ENFILE) == load_error::too_many_files);
    CHECK(kind_of(EADDRNOTAVAIL) == load_error::no_local_port);
    CHECK(kind_of(EACCES) == load_error::other);
}

TEST_CASE("load errors: each has a name of its own") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i <= static_cast<std::size_t>(load_error::other); ++i) {
        names.insert(name_of(static_cast<load_error>(i)));
    }
    CHECK(names.size() == static_cast<std::size_t>(load_error::other) + 1);
    CHECK(name_of(load_error::short_body) == "short_body");
}
