#include <magpie/io/loop/ring.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <ctime>
#include <system_error>

#include <errno.h>
#include <io/support/kit.hpp>
#include <unistd.h>

namespace {

using namespace magpie::tests;
using magpie::detail::ring;

void prepare_nop(ring& r, std::uint64_t tag) {
    io_uring_sqe* const entry = r.next_entry();
    REQUIRE(entry != nullptr);
    std::memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_NOP;
    entry->user_data = tag;
    r.publish();
}

TEST_CASE("what is submitted completes, in one call" * doctest::skip(!io_uring_is_allowed())) {
    ring r(8, 16, false);
    CHECK(r.unsubmitted() == 0);
    prepare_nop(r, 1);
    prepare_nop(r, 2);
    CHECK(r.unsubmitted() == 2);
    CHECK(!r.has_completions());
    CHECK(r.enter(2, 2, nullptr, false) == 2);
    CHECK(r.unsubmitted() == 0);
    REQUIRE(r.completions() == 2);
    CHECK(r.completion(0).user_data == 1);
    CHECK(r.completion(1).user_data == 2);
    r.consume(2);
    CHECK(!r.has_completions());
}

TEST_CASE("a full submission queue gives no entry until it was submitted" * doctest::skip(!io_uring_is_allowed())) {
    ring r(4, 64, false);
    for (std::uint64_t round = 0; round < 5; ++round) {
        for (std::uint64_t i = 0; i < 4; ++i) {
            prepare_nop(r, round * 4 + i);
        }
        CHECK(r.next_entry() == nullptr);
        CHECK(r.enter(4, 0, nullptr, false) == 4);
        CHECK(r.next_entry() != nullptr);
    }
    REQUIRE(r.completions() == 20);
    for (unsigned i = 0; i < 20; ++i) {
        CHECK(r.completion(i).user_data == i);
    }
    r.consume(20);
}

TEST_CASE("a wait ends at its timeout" * doctest::skip(!io_uring_is_allowed())) {
    ring r(4, 8, false);
    timespec const soon{.tv_sec = 0, .tv_nsec = 1'000'000};
    CHECK(r.enter(0, 1, &soon, false) == -ETIME);
}

TEST_CASE("sizes are powers of two, and the completion queue is as asked" * doctest::skip(!io_uring_is_allowed())) {
    CHECK(ring(8, 16, false).cq_entries() == 16);
    CHECK(ring(8, 100, false).cq_entries() == 128);
    CHECK(ring(8, 1U << 30, false).cq_entries() < (1U << 30));  // clamped, not refused
}

TEST_CASE("other threads may look at, and take, the completions: no single-issuer modes" *
          doctest::skip(!io_uring_is_allowed())) {
    ring const r(8, 16, false);
    constexpr unsigned single_issuer = 1U << 12;
    constexpr unsigned defer_taskrun = 1U << 13;
    CHECK((r.how().setup & (single_issuer | defer_taskrun | IORING_SETUP_SQPOLL)) == 0);
}

TEST_CASE("with a kernel thread that submits" * doctest::skip(!io_uring_is_allowed())) {
    ring r(8, 16, true);
    CHECK((r.how().setup & IORING_SETUP_SQPOLL) != 0);
    prepare_nop(r, 5);
    CHECK(r.enter(1, 1, nullptr, false) >= 0);
    REQUIRE(r.completions() == 1);
    CHECK(r.completion(0).user_data == 5);
    r.consume(1);
}

TEST_CASE("what the kernel refuses is thrown with its errno" * doctest::skip(!io_uring_is_allowed())) {
    try {
        ring const impossible(0, 0, false);
        FAIL("no exception");
    } catch (std::system_error const& error) {
        CHECK(error.code().value() == EINVAL);
    }
}

}  // namespace
