#include <magpie/runtime/detail/atomic.hpp>

#include <doctest/doctest.h>

#include <thread>

namespace {

using namespace magpie::detail;

// The store-buffer litmus test: without a full fence on both sides, both threads may read the old value, and on x86 do
// so within a few thousand rounds.
TEST_CASE("full_fence: orders a store before a later load") {
    constexpr int rounds = 10'000;
    atomic<int> x{0};
    atomic<int> y{0};
    int both_missed = 0;
    int seen_by_first = 0;
    int seen_by_second = 0;
    atomic<int> arrived{0};
    // Spinning lets both begin at nearly the same moment, as a blocking barrier would not.
    auto const meet = [&arrived](int round) {
        arrived.fetch_add(1, mo_acq_rel);
        for (int spins = 0; arrived.load(mo_acquire) < 2 * round; ++spins) {
            if (spins < 1000) {
                cpu_relax();
            } else {
                yield_thread();
            }
        }
    };
    std::jthread const second([&] {
        for (int round = 1; round <= rounds; ++round) {
            meet(2 * round - 1);
            y.store(1, mo_relaxed);
            full_fence();
            seen_by_second = x.load(mo_relaxed);
            meet(2 * round);
        }
    });
    for (int round = 1; round <= rounds; ++round) {
        x.store(0, mo_relaxed);
        y.store(0, mo_relaxed);
        meet(2 * round - 1);
        x.store(1, mo_relaxed);
        full_fence();
        seen_by_first = y.load(mo_relaxed);
        meet(2 * round);
        both_missed += seen_by_first == 0 && seen_by_second == 0 ? 1 : 0;
    }
    CHECK(both_missed == 0);
}

// What the kernel orders and TSan cannot see: a relaxed flag stands for it under TSan, which reports a race unless the
// annotations order the two accesses. Elsewhere the flag has to do the kernel's work.
TEST_CASE("tsan_release and tsan_acquire: order a hand-over that TSan cannot see") {
#if defined(MAGPIE_TSAN)
    constexpr auto posting = mo_relaxed;
    constexpr auto looking = mo_relaxed;
#else
    constexpr auto posting = mo_release;  // pairs with `looking`
    constexpr auto looking = mo_acquire;  // pairs with `posting`
#endif
    int handed_over = 0;
    int tag = 0;
    atomic<bool> posted{false};
    std::jthread const giver([&] {
        handed_over = 1;
        tsan_release(&tag);
        posted.store(true, posting);
    });
    while (!posted.load(looking)) {
        yield_thread();
    }
    tsan_acquire(&tag);
    CHECK(handed_over == 1);
}

TEST_CASE("inject_point and cpu_relax: return") {
    for (int i = 0; i < 1000; ++i) {
        inject_point();
        cpu_relax();
    }
}

}  // namespace
