// run alone: it takes three gigabytes

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <ranges>

#include <runtime/support/many_tasks.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> gathers(std::uint64_t count, std::int64_t& live, kept_memory const& kept) {
    gate at;
    auto const opens = [&]() -> task<> {
        co_await when_all_came(at, count);
        live = kept.bytes();
        at.opened.set();
    };
    auto opened = spawn(opens());
    auto const values = co_await gather(std::views::iota(std::uint64_t{0}, count) |
                                        std::views::transform([&](std::uint64_t i) { return waits(at, i); }));
    co_await std::move(opened);
    CHECK(values.size() == count);
    CHECK(std::ranges::equal(values, std::views::iota(std::uint64_t{0}, count)));
}

TEST_CASE("a gather of ten million children that wait at once") {
    keep_pages();
    for (bool const virtual_time : {false, true}) {
        CAPTURE(virtual_time);
        unsigned const count = many(virtual_time ? 1'000'000 : 10'000'000);
        kept_memory const kept;
        std::int64_t live = 0;
        run(gathers(count, live, kept), virtual_time ? simulated() : threads(2));
        if (allocations_are_ours()) {
            CHECK(live > std::int64_t{count} * 200);
            CHECK(kept.bytes() <= 2 * mib);
        }
    }
}

}  // namespace
