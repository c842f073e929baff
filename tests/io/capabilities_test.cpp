#include <magpie/io/capabilities.hpp>

#include <doctest/doctest.h>

#include <string>

#include <io/support/kit.hpp>
#include <io/support/without_io_uring.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("what the kernel says") {
    auto const before = open_descriptors();
    auto const report = io::capabilities();
    CHECK(open_descriptors() == before);
    CHECK(report.io_uring == io_uring_is_allowed());
    CHECK(report.refused_because.empty() == report.io_uring);
    CHECK(!report.kernel.empty());
    CHECK(report.poll);
    CHECK(report.open_files > 0);
    CHECK(report.listen_backlog > 0);
    auto const text = report.to_string();
    CHECK(text.find(report.kernel) != text.npos);
    CHECK(text.back() == '\n');
}

TEST_CASE("the operations that the loop lives on are there" * doctest::skip(!io_uring_is_allowed())) {
    auto const report = io::capabilities();
    for (auto const code : {io::opcode::nop, io::opcode::read, io::opcode::recv, io::opcode::send, io::opcode::sendmsg,
                            io::opcode::accept, io::opcode::connect}) {
        CAPTURE(static_cast<int>(code));
        CHECK(report.supports(code));
    }
    CHECK(!report.supports(io::opcode{200}));
}

TEST_CASE("where io_uring is refused, the report says why") {
    auto const child = run_without_io_uring(EPERM, [] {
        auto const report = io::capabilities();
        std::fputs(report.to_string().c_str(), stdout);
        bool const right = !report.io_uring && !report.refused_because.empty() && !report.remedy.empty() &&
                           report.poll && report.operations.none();
        return right ? 0 : 1;
    });
    CHECK(child.status == 0);
    CHECK(child.output.find("seccomp") != std::string::npos);
}

}  // namespace
