#include <magpie/runtime/scheduler/claim.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

TEST_CASE("claim: a claimer is alone, and so is the next") {
    claim c;
    if (!can_kick()) {
        CHECK_FALSE(c.try_claim());
        return;
    }
    REQUIRE(c.try_claim());
    CHECK_FALSE(c.try_claim());
    c.give_back();
    CHECK(c.try_claim());
    c.give_back();
    { claim::section const alone(c); }
    CHECK(c.try_claim());
    c.give_back();
}

TEST_CASE("claim: nobody gets in while the owner is inside") {
    claim c;
    claim::section const alone(c);
    CHECK_FALSE(c.try_claim());
}

TEST_CASE("claim: an owner and two claimers never meet") {
    claim c;
    std::uint64_t plain = 0;  // a data race, were they ever inside together
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> claims{0};
    auto const claims_on = [&] {
        while (!stop) {
            if (c.try_claim()) {
                ++plain;
                c.give_back();
                claims.fetch_add(1);
            }
        }
    };
    std::thread one(claims_on);
    std::thread two(claims_on);
    std::uint64_t entered = 0;
    unsigned const n = rounds(20'000);
    while (entered < n || (can_kick() && claims.load() < 20)) {
        {
            claim::section const alone(c);
            ++plain;
            ++entered;
        }
        if (entered % 4096 == 0) {
            yield_thread();  // or the claimers hardly ever find it outside
        }
    }
    stop = true;
    one.join();
    two.join();
    CHECK(plain == entered + claims);
}

}  // namespace
