#include <magpie/io/loop/make_loop.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include <io/support/kit.hpp>
#include <io/support/without_io_uring.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("the loop is the one that was asked for") {
    CHECK(std::string_view(io::make_loop(with_backend(io_backend::poll), 0)->name()) == "poll");
    if (io_uring_is_allowed()) {
        CHECK(std::string_view(io::make_loop(with_backend(io_backend::io_uring), 0)->name()) == "io_uring");
        CHECK(std::string_view(io::make_loop(with_backend(io_backend::automatic), 0)->name()) == "io_uring");
    }
}

TEST_CASE("where io_uring is refused, auto takes the poll loop, and says so once") {
    for (int const error : {EPERM, ENOSYS, ENOMEM}) {
        CAPTURE(error);
        auto const child = run_without_io_uring(error, [] {
            for (int i = 0; i < 3; ++i) {
                if (std::strcmp(io::make_loop(with_backend(io_backend::automatic), 0)->name(), "poll") != 0) {
                    return 1;
                }
            }
            auto const main = []() -> task<int> {
                auto pair = co_await connect_pair();
                (void)co_await pair.client.write("through");
                std::byte memory[16];
                auto const got = co_await pair.server.read(memory);
                co_return got.value_or(0) == 7 ? 0 : 2;
            };
            return run(main(), with_backend(io_backend::automatic));
        });
        CHECK(child.status == 0);
        CHECK(std::ranges::count(child.output, '\n') == 1);
        CHECK(child.output.find("io_uring is not used, because ") != std::string::npos);
    }
}

TEST_CASE("the sentence names what a container is likely to be refused by") {
    auto const child = run_without_io_uring(EPERM, [] {
        (void)io::make_loop(with_backend(io_backend::automatic), 0);
        return 0;
    });
    CHECK(child.output.find("seccomp") != std::string::npos);
}

TEST_CASE("where io_uring is demanded and refused, the error is the same sentence") {
    auto const child = run_without_io_uring(EPERM, [] {
        try {
            (void)io::make_loop(with_backend(io_backend::io_uring), 0);
            return 1;
        } catch (std::system_error const& error) {
            std::puts(error.what());
            return error.code().value() == EPERM ? 0 : 2;
        }
    });
    CHECK(child.status == 0);
    CHECK(child.output.find("io_uring cannot be used, because ") != std::string::npos);
    CHECK(child.output.find("seccomp") != std::string::npos);
}

TEST_CASE("without descriptors there is no loop of either kind") {
    auto const child = run_without_io_uring(EMFILE, [] {
        try {
            (void)io::make_loop(with_backend(io_backend::automatic), 0);
            return 1;
        } catch (std::system_error const& error) {
            std::puts(error.what());
            return error.code().value() == EMFILE ? 0 : 2;
        }
    });
    CHECK(child.status == 0);
    CHECK(child.output.find("ulimit -n") != std::string::npos);
}

TEST_CASE("loops that were never used leave no descriptor behind") {
    auto const before = open_descriptors();
    for (auto const backend : {io_backend::automatic, io_backend::poll}) {
        (void)io::make_loop(with_backend(backend), 0);
    }
    CHECK(open_descriptors() == before);
}

}  // namespace
