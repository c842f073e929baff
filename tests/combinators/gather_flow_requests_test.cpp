// Requests to cancel a gather of a long range whose own code takes earlier requests back.

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <ranges>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

constexpr int part = static_cast<int>(detail::gather_flow_base::part_size);

// Has been asked to end once, and has gone on; the range takes that back in its middle.
task<> goes_on(std::atomic<bool>& all_made) {
    this_task::cancel();
    try {
        co_await this_task::checkpoint();
    } catch (task_cancelled const&) {
    }
    auto const make = [&](int i) -> task<> {
        if (i == part + 1) {
            this_task::uncancel();
        }
        if (i == 2 * part) {
            all_made = true;
        }
        return detail::as_task(sleep(1h));
    };
    co_await gather(std::views::iota(0, 2 * part + 1) | std::views::transform(make));
}

TEST_CASE("GATHER-14: a request that comes after the range has taken one back reaches the children") {
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        std::atomic<bool> all_made = false;
        auto h = rt.spawn(goes_on, std::ref(all_made));
        until([&] { return all_made.load(); });
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled());
    }
}

}  // namespace
