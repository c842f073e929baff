#include <magpie/runtime/scheduler/frame_cache.hpp>

#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

struct block {
    void* memory;
    std::size_t size;
};

std::vector<block> take(frame_cache& from, std::size_t size, unsigned count) {
    std::vector<block> taken;
    for (unsigned i = 0; i < count; ++i) {
        taken.push_back({from.allocate(size), size});
        std::memset(taken.back().memory, 0x5a, size);  // all of it is ours
    }
    return taken;
}

void give(frame_cache& to, std::vector<block>& blocks) {
    for (block const& b : blocks) {
        to.deallocate(b.memory, b.size);
    }
    blocks.clear();
}

TEST_CASE("frame_cache: what is freed is handed out again, newest first, within its size class") {
    frame_cache cache;
    cache.set_limit(1 << 16);
    void* const a = cache.allocate(100);
    void* const b = cache.allocate(100);
    CHECK(a != b);
    cache.deallocate(a, 100);
    cache.deallocate(b, 100);
    CHECK(cache.allocate(97) == b);
    CHECK(cache.allocate(128) == a);
    void* const other = cache.allocate(129);
    CHECK((other != a && other != b));
    cache.deallocate(a, 128);
    cache.deallocate(b, 97);
    cache.deallocate(other, 129);
    cache.flush();
}

TEST_CASE("frame_cache: blocks are aligned for everything but over-aligned types, and do not overlap") {
    frame_cache cache;
    std::vector<block> all;
    for (std::size_t size = 1; size < 3000; size += 37) {
        for (block const& b : take(cache, size, 3)) {
            CHECK(reinterpret_cast<std::uintptr_t>(b.memory) % __STDCPP_DEFAULT_NEW_ALIGNMENT__ == 0);
            all.push_back(b);
        }
    }
    std::ranges::sort(all, {}, &block::memory);
    bool apart = true;
    for (std::size_t i = 1; i < all.size(); ++i) {
        apart = apart && static_cast<char*>(all[i - 1].memory) + all[i - 1].size <= all[i].memory;
    }
    CHECK(apart);
    give(cache, all);
    cache.flush();
}

TEST_CASE("frame_cache: keeps no more bytes than its limit, over all size classes; 0 keeps nothing") {
    if (!allocations_are_ours()) {
        return;
    }
    for (std::size_t const limit : {std::size_t{0}, std::size_t{4096}, std::size_t{65'536}}) {
        CAPTURE(limit);
        frame_cache another;  // leaves batches in the depot, one of which is more than the smallest limit
        another.set_limit(std::size_t{64} * 192);
        std::vector<block> lent = take(another, 192, 200);
        give(another, lent);
        another.flush();
        frame_cache cache;
        cache.set_limit(limit);
        std::vector<block> all;
        for (std::size_t size = 32; size <= 2048; size += 32) {
            auto some = take(cache, size, 20);
            all.insert(all.end(), some.begin(), some.end());
        }
        for (block const& b : all) {
            cache.deallocate(b.memory, b.size);
        }
        std::int64_t const with_the_cache = live_bytes();
        std::int64_t const blocks_with_the_cache = live_blocks();
        cache.flush();
        std::int64_t const kept = with_the_cache - live_bytes();
        std::int64_t const blocks = blocks_with_the_cache - live_blocks();
        CHECK(kept <= static_cast<std::int64_t>(limit) + 16 * blocks);  // the allocator rounds up
        CHECK((kept != 0) == (limit != 0));
    }
}

TEST_CASE("frame_cache: a class takes its room from the spares of others, and is not left without") {
    if (!allocations_are_ours()) {
        return;
    }
    constexpr std::size_t limit = std::size_t{128} << 10;
    frame_cache cache;
    cache.set_limit(limit);
    std::vector<block> small = take(cache, 64, 4000);
    give(cache, small);  // spares up to the limit
    std::vector<block> large = take(cache, 2048, 8);  // room for so many
    std::int64_t const before = live_blocks();
    give(cache, large);
    CHECK(live_blocks() == before);  // kept
    void* const again = cache.allocate(2048);
    CHECK(live_blocks() == before);
    cache.deallocate(again, 2048);
    cache.flush();
}

TEST_CASE("frame_cache: a small limit is shared by several classes") {
    if (!allocations_are_ours()) {
        return;
    }
    for (std::size_t const limit : {std::size_t{4} << 10, std::size_t{64} << 10}) {
        CAPTURE(limit);
        frame_cache cache;
        cache.set_limit(limit);
        for (int round = 0; round < 3; ++round) {
            std::int64_t const before = live_blocks();
            for (std::size_t const size : {64U, 128U, 192U, 256U, 320U, 384U}) {
                std::vector<block> one = take(cache, size, 1);
                give(cache, one);
            }
            CHECK((live_blocks() == before) == (round != 0));  // from then on they are recycled
        }
        cache.flush();
    }
}

TEST_CASE("frame_cache: the depot keeps 16 MiB, or all while somebody trims it, and shrinks when told to") {
    constexpr std::size_t mib = std::size_t{1} << 20;
    frame_cache cache;
    auto const lend_and_give = [&] {
        std::vector<block> all = take(cache, 2048, 20'000);
        give(cache, all);
        cache.flush();
        cache.set_limit(mib);
    };
    cache.set_limit(mib);
    lend_and_give();
    CHECK(frame_cache::look().in_depot <= 16 * mib);
    CHECK(frame_cache::look().in_depot >= 12 * mib);

    frame_cache::begin_trimming();
    frame_cache::begin_trimming();
    lend_and_give();
    std::size_t const kept = frame_cache::look().in_depot;
    CHECK(kept >= 36 * mib);
    std::size_t const freed = frame_cache::look().ever;
    frame_cache::give_back_unused();  // all of it came later than what was needed last
    std::vector<block> needed = take(cache, 2048, 10'000);
    give(cache, needed);
    CHECK(frame_cache::look().in_depot + mib >= kept);
    std::size_t const moved = frame_cache::look().moved;
    frame_cache::give_back_unused();
    CHECK(frame_cache::look().in_depot <= kept - 18 * mib);
    CHECK(frame_cache::look().in_depot >= 18 * mib);
    CHECK(frame_cache::look().ever - freed >= 18 * mib);
    frame_cache::end_trimming();
    CHECK(frame_cache::look().in_depot >= 18 * mib);
    frame_cache::end_trimming();  // the last one
    CHECK(frame_cache::look().in_depot <= 16 * mib);
    CHECK(frame_cache::look().in_depot >= 15 * mib);
    frame_cache::trim();
    CHECK(frame_cache::look().in_depot == 0);
    CHECK(frame_cache::look().moved == moved);  // none of that was a thread's doing
    cache.flush();
}

TEST_CASE("frame_cache: larger frames than the largest class go to the allocator and back") {
    if (!allocations_are_ours()) {
        return;
    }
    frame_cache cache;
    std::int64_t const before = live_blocks();
    void* const large = cache.allocate(frame_cache::largest + 1);
    CHECK(live_blocks() == before + 1);
    cache.deallocate(large, frame_cache::largest + 1);
    CHECK(live_blocks() == before);
}

TEST_CASE("frame_cache: flush gives everything to the allocator; what is freed later goes there too") {
    if (!allocations_are_ours()) {
        return;
    }
    frame_cache cache;
    cache.set_limit(1 << 20);
    auto some = take(cache, 64, 50);
    void* const last = cache.allocate(64);
    give(cache, some);
    std::int64_t const before = live_blocks();
    cache.flush();
    CHECK(live_blocks() <= before - 50);
    std::int64_t const flushed = live_blocks();
    cache.deallocate(last, 64);
    CHECK(live_blocks() == flushed - 1);
}

TEST_CASE("frame_cache: frames made by one thread and freed by another come back; memory does not grow") {
    std::int64_t highest = 0;
    std::int64_t settled = 0;
    frame_cache makes;
    frame_cache frees;
    makes.set_limit(1 << 16);
    frees.set_limit(1 << 16);
    for (unsigned round = 0; round < 200; ++round) {
        auto some = take(makes, 96, 1000);
        std::thread([&] { give(frees, some); }).join();
        if (round == 20) {
            settled = live_bytes();
        }
        highest = std::max(highest, live_bytes());
    }
    CHECK(highest - settled < 1 << 18);
    makes.flush();
    frees.flush();
}

}  // namespace
