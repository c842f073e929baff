#include <magpie/runtime/scheduler/thread_state.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/frame_alloc.hpp>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <thread>
#include <type_traits>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

static_assert(std::is_trivially_destructible_v<thread_state>, "or every access would test a guard");

TEST_CASE("set_current_worker: per thread; gives back what was there") {
    CHECK(set_current_worker(nullptr) == nullptr);
    int place = 0;
    auto* const fake = reinterpret_cast<worker*>(&place);
    CHECK(set_current_worker(fake) == nullptr);
    CHECK(current_worker() == fake);
    std::thread([] { CHECK(current_worker() == nullptr); }).join();
    CHECK(set_current_worker(nullptr) == fake);
}

#if !defined(MAGPIE_TESTS_ASAN)  // there every frame comes from the allocator
TEST_CASE("set_frame_limit: of the calling thread; with 0 every free frame goes to the allocator at once") {
    if (!allocations_are_ours()) {
        return;
    }
    std::thread([] {
        set_frame_limit(0);
        void* const frame = allocate_frame(500);
        std::int64_t const before = live_blocks();
        deallocate_frame(frame, 500);
        CHECK(live_blocks() == before - 1);
    }).join();
}
#endif

}  // namespace
