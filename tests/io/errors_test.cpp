#include <magpie/io/errors.hpp>
#include <magpie/io/result.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <system_error>

namespace {

using namespace magpie;

TEST_CASE("io::errc is an error code of its own category") {
    std::error_code const end = io::errc::end_of_stream;
    CHECK(end.category() == io::io_category());
    CHECK(std::string(end.category().name()) == "magpie.io");
    CHECK(end == io::errc::end_of_stream);
    CHECK(end != io::errc::too_long);
    CHECK(static_cast<bool>(end));
}

TEST_CASE("each has a message of its own, and so has a number that is none") {
    std::string const end = std::error_code(io::errc::end_of_stream).message();
    std::string const too_long = std::error_code(io::errc::too_long).message();
    CHECK(end != too_long);
    CHECK(std::error_code(99, io::io_category()).message() == "unknown error");
}

TEST_CASE("it can be the error of a result") {
    io::result<int> const failed = io::failure(io::errc::too_long);
    CHECK(failed.error() == io::errc::too_long);
}

}  // namespace
