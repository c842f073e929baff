#include <magpie/io/resolve.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <netdb.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("figures need no asking") {
    run_on_each_backend(1, []() -> task<> {
        auto const v4 = (co_await io::resolve("127.0.0.1", "80")).value();
        REQUIRE(v4.size() == 1);
        CHECK(v4[0].to_string() == "127.0.0.1:80");
        auto const v6 = (co_await io::resolve("::1", "65535")).value();
        REQUIRE(v6.size() == 1);
        CHECK(v6[0].to_string() == "[::1]:65535");
    });
}

TEST_CASE("a name is looked up, with a port or a service") {
    run_on_each_backend(2, []() -> task<> {
        auto const found = (co_await io::resolve("localhost", "8080")).value();
        REQUIRE(!found.empty());
        for (auto const& each : found) {
            CHECK(each.port() == 8080);
            bool const local = each.address_text() == "127.0.0.1" || each.address_text() == "::1";
            CHECK(local);
        }
    });
}

TEST_CASE("a name that nobody knows is an error with a text") {
    run_on_each_backend(1, []() -> task<> {
        auto const none = co_await io::resolve("no-such-host.invalid", "80");
        REQUIRE(!none);
        CHECK(!none.error().message().empty());
        auto const service = co_await io::resolve("127.0.0.1", "no-such-service");
        REQUIRE(!service);
        CHECK(service.error().category() == io::resolve_category());
    });
}

TEST_CASE("the resolver's errors compare with those of the system") {
    auto const code = [](int error) { return std::error_code(error, io::resolve_category()); };
    CHECK(code(EAI_AGAIN) == std::errc::resource_unavailable_try_again);
    CHECK(code(EAI_MEMORY) == std::errc::not_enough_memory);
    CHECK(code(EAI_NONAME) == std::errc::no_such_device_or_address);
    CHECK(code(EAI_FAMILY) != std::errc::no_such_device_or_address);
    CHECK(std::string(io::resolve_category().name()) == "resolver");
}

TEST_CASE("cancelling abandons the question; what comes back later harms nobody") {
    on_each_backend(2, [](config const& c) {
        auto const main = []() -> task<> {
            int cancelled = 0;
            for (int i = 0; i < 50; ++i) {
                auto asking = spawn(io::resolve("localhost", std::to_string(i + 1)));
                for (int turn = 0; turn < i % 5; ++turn) {
                    co_await this_task::yield();
                }
                asking.cancel();
                try {
                    auto const answer = co_await std::move(asking);
                    CHECK(answer.has_value());
                } catch (child_cancelled const&) {
                    ++cancelled;
                }
            }
            CHECK(cancelled > 0);
        };
        run(main(), c);
    });
}

}  // namespace
