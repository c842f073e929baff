#include <magpie/runtime/scheduler/live_schedulers.hpp>

#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/runtime.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("live_schedulers: a runtime is found by its number as long as it lives; numbers are never used again") {
    auto const nothing = []() -> task<> { co_return; };
    std::uint32_t first = 0;
    {
        runtime rt(simulated());
        auto h = rt.spawn(nothing());
        first = h.record().runtime_serial;
        bool found = false;
        CHECK(detail::live_schedulers::with(first, [&](detail::scheduler&) { found = true; }));
        CHECK(found);
        runtime second(simulated());
        auto other = second.spawn(nothing());
        CHECK(other.record().runtime_serial != first);
    }
    CHECK_FALSE(detail::live_schedulers::with(first, [](detail::scheduler&) { FAIL("it is gone"); }));
    runtime third(simulated());
    auto h = third.spawn(nothing());
    CHECK(h.record().runtime_serial > first);
}

}  // namespace
