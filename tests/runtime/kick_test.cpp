#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/kick.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

TEST_CASE("kick: works from any thread, again and again, or never") {
    bool const possible = can_kick();
    CHECK(kick() == possible);
    std::atomic<bool> stop{false};
    std::thread computes([&] {
        while (!stop) {}
    });
    for (int i = 0; i < 100; ++i) {
        CHECK(kick() == possible);
    }
    stop = true;
    computes.join();
    CHECK(can_kick() == possible);
}

// Each writes one word and then reads the other, and only the kicker has a fence between the two. (That it also brings out
// what the kernel holds back is tested in tests/io/take_over_test.cpp.)
TEST_CASE("kick: is a full fence on every CPU that runs this process, so that one of two sees the other") {
    if (!can_kick()) {
        MESSAGE("membarrier is refused here");
        return;
    }
    std::atomic<unsigned> x{0};
    std::atomic<unsigned> y{0};
    std::atomic<unsigned> asked{0};
    std::atomic<unsigned> answered{0};
    unsigned seen = 0;
    unsigned const n = rounds(5000);
    std::thread other([&] {
        for (unsigned r = 1; r <= n; ++r) {
            for (unsigned looks = 0; asked.load(mo_acquire) != r; ++looks) {
                if (looks % 1024 == 1023) {
                    yield_thread();
                }
            }
            x.store(r, mo_relaxed);
            compiler_fence();
            seen = y.load(mo_relaxed);
            answered.store(r, mo_release);
        }
    });
    unsigned both_blind = 0;
    for (unsigned r = 1; r <= n; ++r) {
        asked.store(r, mo_release);
        y.store(r, mo_relaxed);
        (void)kick();
        bool const blind = x.load(mo_relaxed) != r;
        until([&] { return answered.load(mo_acquire) == r; });
        both_blind += blind && seen != r ? 1 : 0;
    }
    other.join();
    CHECK(both_blind == 0);
}

}  // namespace
