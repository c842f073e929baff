#include <magpie/runtime/detail/frame_alloc.hpp>

#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

TEST_CASE("allocate_frame: any size; any thread may free what another allocated") {
    for (std::size_t const size : {1U, 31U, 32U, 33U, 2048U, 2049U, 100'000U}) {
        void* const memory = allocate_frame(size);
        REQUIRE(memory != nullptr);
        std::memset(memory, 1, size);
        std::thread([=] { deallocate_frame(memory, size); }).join();
    }
}

TEST_CASE("recycled: objects of any size, and over-aligned ones where they belong") {
    struct plain final : recycled {
        char text[40];
    };
    struct alignas(64) wide final : recycled {
        char text[40];
    };
    auto* const first = new plain;
    delete first;
    auto* const second = new plain;
    if (!magpie::tests::sanitized) {
        CHECK(second == first);
    }
    delete second;
    for (int i = 0; i < 8; ++i) {
        auto const each = std::make_unique<wide>();
        CHECK(reinterpret_cast<std::uintptr_t>(each.get()) % 64 == 0);
    }
}

TEST_CASE("recycling_allocator: a few objects are recycled, many and over-aligned ones come from the allocator") {
    struct alignas(64) wide {
        char text[64];
    };
    for (std::size_t const count : {1U, 3U, 64U, 256U, 257U, 10'000U}) {
        std::vector<std::size_t, recycling_allocator<std::size_t>> numbers;
        std::vector<wide, recycling_allocator<wide>> blocks(count);
        for (std::size_t i = 0; i < count; ++i) {
            numbers.push_back(i);  // and grows
            CHECK(reinterpret_cast<std::uintptr_t>(&blocks[i]) % 64 == 0);
        }
        CHECK(numbers.size() == count);
        CHECK(numbers.back() == count - 1);
    }
    recycling_allocator<long> allocator;
    long* const first = allocator.allocate(5);
    allocator.deallocate(first, 5);
    long* const second = allocator.allocate(5);
    if (!magpie::tests::sanitized) {
        CHECK(second == first);
    }
    allocator.deallocate(second, 5);
}

TEST_CASE("allocate_frame: throws bad_alloc when there is no memory, and works again afterwards") {
    if (!allocations_are_ours()) {
        return;
    }
    {
        failing_allocations const failing(0);
        CHECK_THROWS_AS((void)allocate_frame(100'000), std::bad_alloc);
    }
    deallocate_frame(allocate_frame(100'000), 100'000);
}

TEST_CASE("allocate_frame: a thread that ends gives its free frames back") {
    auto const uses_frames = [] {
        std::vector<void*> taken;
        for (int i = 0; i < 30; ++i) {
            taken.push_back(allocate_frame(1000));
        }
        for (void* each : taken) {
            deallocate_frame(each, 1000);
        }
    };
    std::thread(uses_frames).join();
    std::int64_t const before = live_blocks();
    for (int i = 0; i < 100; ++i) {
        std::thread(uses_frames).join();
    }
    CHECK(live_blocks() - before < 100);
}

TEST_CASE("allocate_frame: threads that hand frames to each other in a ring") {
    constexpr int n = 4;
    std::vector<std::vector<void*>> in_hand(n);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::thread> all;
        for (std::size_t t = 0; t < n; ++t) {
            all.emplace_back([&, t] {
                for (void* each : std::exchange(in_hand[t], {})) {
                    deallocate_frame(each, 64);
                }
                for (int i = 0; i < 300; ++i) {
                    in_hand[t].push_back(allocate_frame(64));
                }
            });
        }
        for (auto& each : all) {
            each.join();
        }
        std::swap(in_hand[0], in_hand[1]);
        std::swap(in_hand[1], in_hand[2]);
        std::swap(in_hand[2], in_hand[3]);
    }
    for (auto& each : in_hand) {
        for (void* memory : each) {
            deallocate_frame(memory, 64);
        }
    }
}

}  // namespace
