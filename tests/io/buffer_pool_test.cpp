#include <magpie/io/loop/buffer_pool.hpp>
#include <magpie/io/loop/wakeup.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <poll.h>
#include <runtime/support/kit.hpp>

namespace {

using namespace magpie::detail;

magpie::buffer_ring_config const small{.size = 512, .count = 8};

buffer_pool_ptr make(wakeup& owner) {
    return buffer_pool_ptr(new buffer_pool(small, owner));
}

bool readable(wakeup const& w) {
    pollfd look{.fd = w.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
}

TEST_CASE("every buffer is lent once, and they do not overlap") {
    wakeup owner;
    auto const pool = make(owner);
    CHECK(pool->available() == 8);
    std::set<std::uint16_t> ids;
    while (auto const id = pool->take()) {
        CHECK(ids.insert(*id).second);
        auto const bytes = pool->at(*id);
        CHECK(bytes.size() == 512);
        std::memset(bytes.data(), *id + 1, bytes.size());
    }
    CHECK(ids.size() == 8);
    CHECK(pool->available() == 0);
    for (auto const id : ids) {
        for (std::byte const each : pool->at(id)) {
            REQUIRE(each == static_cast<std::byte>(id + 1));
        }
        pool->give_back(id);
    }
    CHECK(pool->available() == 8);
    CHECK(pool->take().has_value());
    pool->give_back(0);
}

TEST_CASE("the owner is told when a buffer is back, if it waits for one") {
    wakeup owner;
    auto const pool = make(owner);
    CHECK(!pool->wait_for_one());  // there are some
    std::vector<std::uint16_t> ids;
    while (auto const id = pool->take()) {
        ids.push_back(*id);
    }
    CHECK(pool->wait_for_one());
    CHECK(pool->waited_for());
    REQUIRE(owner.prepare_sleep());
    pool->give_back(ids.back());
    CHECK(readable(owner));
    CHECK(!pool->waited_for());
    ids.pop_back();
    for (auto const id : ids) {
        pool->give_back(id);
    }
}

TEST_CASE("where the kernel chooses, it is offered twice as many whenever all are taken, until it was offered every one") {
    wakeup owner;
    buffer_pool_ptr const pool(new buffer_pool({.size = 256, .count = 512}, owner));
    pool->let_kernel_choose();
    std::uint16_t taken = 0;
    auto const take_all = [&] {
        for (std::size_t n = pool->available(); n != 0; --n) {
            pool->note_taken();
            ++taken;
        }
    };
    for (std::size_t const expected : {64U, 64U, 128U, 256U}) {
        CHECK(!pool->wait_for_one());
        CHECK(pool->available() == expected);
        take_all();
    }
    CHECK(taken == 512);
    CHECK(pool->wait_for_one());
    while (taken != 0) {
        pool->give_back(--taken);
    }
    CHECK(pool->available() == 512);
}

TEST_CASE("nobody is told who does not wait") {
    wakeup owner;
    auto const pool = make(owner);
    auto const id = pool->take();
    REQUIRE(owner.prepare_sleep());
    pool->give_back(*id);
    CHECK(!readable(owner));
}

TEST_CASE("buffers may come back after the loop is gone, and be used until then") {
    wakeup owner;
    auto pool = make(owner);
    buffer_pool* const raw = pool.get();
    auto const first = pool->take();
    auto const second = pool->take();
    pool.reset();
    std::memset(raw->at(*first).data(), 1, raw->size());
    std::thread([&] { raw->give_back(*first); }).join();
    std::memset(raw->at(*second).data(), 1, raw->size());
    raw->give_back(*second);  // the last one frees the pool: a leak or a second use is the sanitizer's to find
}

TEST_CASE("many threads give back what the owner takes: none is lost or lent twice") {
    wakeup owner;
    auto const pool = make(owner);
    constexpr int helpers = 3;
    std::atomic<int> slots[helpers];
    for (auto& slot : slots) {
        slot.store(-1);
    }
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (auto& slot : slots) {
        threads.emplace_back([&] {
            while (!over.load()) {
                if (int const id = slot.exchange(-1); id >= 0) {
                    pool->give_back(static_cast<std::uint16_t>(id));
                } else {
                    std::this_thread::yield();
                }
            }
        });
    }
    unsigned const rounds = magpie::tests::rounds(20'000);
    unsigned handed_over = 0;
    for (unsigned i = 0; handed_over < rounds; ++i) {
        auto& slot = slots[i % helpers];
        if (slot.load() < 0) {
            if (auto const id = pool->take()) {
                slot.store(*id);
                ++handed_over;
            }
        } else {
            std::this_thread::yield();
        }
    }
    for (auto& slot : slots) {
        magpie::tests::until([&] { return slot.load() < 0; });
    }
    over.store(true);
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(pool->available() == 8);
}

}  // namespace
