#include <magpie/io/loop/refusal.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>

#include <errno.h>

namespace {

using magpie::detail::explain_refusal;

TEST_CASE("every reason has a cause and a remedy, without which nobody is helped") {
    for (int const error : {EPERM, EACCES, ENOSYS, ENOMEM, EMFILE, ENFILE, EINVAL}) {
        CAPTURE(error);
        auto const why = explain_refusal(error);
        CHECK(!why.cause.empty());
        CHECK(!why.remedy.empty());
        CHECK(why.cause.back() != '.');  // clauses: others put them into a sentence
        CHECK(why.remedy.back() != '.');
    }
}

TEST_CASE("the usual reasons are told apart") {
    CHECK(explain_refusal(ENOMEM).remedy.find("ulimit -l") != std::string::npos);
    CHECK(explain_refusal(EMFILE).remedy.find("ulimit -n") != std::string::npos);
    CHECK(explain_refusal(ENFILE).remedy.find("fs.file-max") != std::string::npos);
    CHECK(explain_refusal(ENOSYS).cause.find("kernel") != std::string::npos);
    CHECK(explain_refusal(EINVAL).cause.find("errno 22") != std::string::npos);
}

TEST_CASE("numbers are read from /proc, and nothing is made up where there is none") {
    CHECK(magpie::detail::kernel_setting("/proc/sys/net/core/somaxconn") > 0);
    CHECK(magpie::detail::kernel_setting("/proc/sys/no/such/setting") == -1);
    CHECK(magpie::detail::kernel_setting("/proc/sys/kernel/ostype") == -1);
}

}  // namespace
