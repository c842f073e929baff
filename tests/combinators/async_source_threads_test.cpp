// An async_generator in the place of a range, and streams, on several workers: every item exactly once, in order where
// that is promised, whoever asks for it and whenever it is cut off.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <ranges>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr unsigned items = 40;

// How often each item was begun, and handed over.
struct ledger {
    std::array<std::atomic<unsigned>, items> begun{};
    std::array<std::atomic<unsigned>, items> given{};

    static unsigned once(std::array<std::atomic<unsigned>, items> const& counts) {
        return static_cast<unsigned>(std::ranges::count_if(counts, [](auto const& n) { return n == 1; }));
    }
    bool none_twice() const {
        for (unsigned i = 0; i < items; ++i) {
            if (begun[i] > 1 || given[i] > begun[i]) {
                return false;
            }
        }
        return true;
    }
};

struct numbered {
    unsigned number;
    token held;
};

task<numbered> works(ledger& to, unsigned i, unsigned yields, token held) {
    ++to.begun[i];
    for (unsigned n = 0; n < yields; ++n) {
        co_await this_task::yield();
    }
    co_return numbered{i, std::move(held)};
}

async_generator<task<numbered>> makes(ledger& to, unsigned round, tally& of) {
    for (unsigned i = 0; i < items; ++i) {
        if ((i + round) % 3 == 0) {
            co_await this_task::yield();
        }
        co_yield works(to, i, (i + round) % 4, token(of));
    }
}

async_generator<unsigned> counts() {
    for (unsigned i = 0; i < items; ++i) {
        if (i % 4 == 0) {
            co_await this_task::yield();
        }
        co_yield i;
    }
}

bool in_order(std::vector<numbered> const& values) {
    unsigned next = 0;
    return values.size() == items && std::ranges::all_of(values, [&](numbered const& v) { return v.number == next++; });
}

// Runs the body in many rounds on 2 and 8 workers; every third is cancelled at some moment. What was not cancelled has
// begun and given every item once.
template <class Body>
void in_many_rounds(Body body) {
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned round = 0; round < rounds(500); ++round) {
            ledger seen;
            tally of;
            auto h = rt.spawn(body(seen, round, of));
            if (round % 3 == 0) {
                some_moments(round % 40);
                h.cancel();
            }
            h.blocking_wait();
            REQUIRE((round % 3 == 0 || h.result().has_value()));
            CHECK((h.cancelled() || h.result().has_value()));
            CHECK(seen.none_twice());
            if (!h.cancelled()) {
                CHECK(ledger::once(seen.begun) == items);
                CHECK(ledger::once(seen.given) == items);
            }
            REQUIRE(of.alive == 0);
        }
    }
}

TEST_CASE("gather of a generator on several workers: each task once, the results in order") {
    in_many_rounds([](ledger& seen, unsigned round, tally& of) -> task<> {
        auto const values = co_await gather(makes(seen, round, of), {.limit = round % 5});
        CHECK(in_order(values));
        for (auto const& each : values) {
            ++seen.given[each.number];
        }
    });
}

TEST_CASE("a generator that throws on some worker: gather throws it, when every task that was made has ended") {
    auto const breaks = [](ledger& seen, unsigned after_so_many, tally& of) -> async_generator<task<numbered>> {
        for (unsigned i = 0; i < after_so_many; ++i) {
            if (i % 3 == 0) {
                co_await this_task::yield();
            }
            co_yield works(seen, i, i % 4, token(of));
        }
        throw oops("generator");
    };
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        for (unsigned round = 0; round < rounds(300); ++round) {
            ledger seen;
            tally of;
            CHECK_THROWS_WITH_AS(rt.block_on(gather(breaks(seen, round % items, of), {.limit = round % 5})),
                                 "generator", oops);
            CHECK(seen.none_twice());
            REQUIRE(of.alive == 0);
        }
    }
}

TEST_CASE("ASC-05: as_completed of a generator on several workers: many tasks call next(), each item goes to one") {
    in_many_rounds([](ledger& seen, unsigned round, tally& of) -> task<> {
        auto const consumes = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                unsigned const number = item->get().number;
                CHECK(number == item->index);
                ++seen.given[number];
            }
        };
        auto const all = [&](auto& s) -> task<> { co_await gather(consumes(s), consumes(s), consumes(s)); };
        co_await as_completed(makes(seen, round, of), all, {.limit = round % 7});
    });
}

TEST_CASE("as_completed of a generator on several workers: who leaves early has had each item once, the rest is gone") {
    in_many_rounds([](ledger& seen, unsigned round, tally& of) -> task<> {
        unsigned const wanted = round % items;
        auto const some = [&](auto& s) -> task<> {
            for (unsigned i = 0; i < wanted; ++i) {
                auto const item = co_await s.next();
                REQUIRE(item.has_value());
                ++seen.given[item->index];
            }
        };
        co_await as_completed(makes(seen, round, of), some, {.limit = round % 4});
        CHECK(seen.none_twice());
        CHECK(ledger::once(seen.given) == wanted);
        for (unsigned i = 0; i < items; ++i) {  // what in_many_rounds() asks for
            seen.begun[i] = seen.given[i] = 1;
        }
    });
}

TEST_CASE("batch of a generator on several workers: each item once, the results in order") {
    in_many_rounds([](ledger& seen, unsigned round, tally& of) -> task<> {
        auto const item = [&](unsigned i) { return works(seen, i, i % 3, token(of)); };
        auto const values = co_await batch(counts(), item, {.limit = 1 + round % 6});
        CHECK(in_order(values));
        for (auto const& each : values) {
            ++seen.given[each.number];
        }
    });
}

TEST_CASE("batch_stream on several workers: each result once, with its index, also over a shared limit") {
    semaphore shared(5);
    in_many_rounds([&](ledger& seen, unsigned round, tally& of) -> task<> {
        auto const item = [&](unsigned i) { return works(seen, i, i % 4, token(of)); };
        auto const reads = [&](auto& s) -> task<> {
            while (auto each = co_await s.next()) {
                CHECK(each->get().number == each->index);
                ++seen.given[each->index];
                if (round % 2 == 0) {
                    co_await this_task::yield();
                }
            }
        };
        if (round % 4 == 0) {
            co_await batch_stream(counts(), item, reads, {.limit = 8});
        } else if (round % 4 == 1) {
            co_await batch_stream(counts(), item, reads, {.limit = shared});
        } else {
            co_await batch_stream(std::views::iota(0U, items), item, reads, {.limit = shared});
        }
    });
    CHECK(shared.available() == 5);
}

TEST_CASE(
    "batch_stream on several workers: who leaves early has had each result once, and never more begun than allowed") {
    in_many_rounds([](ledger& seen, unsigned round, tally& of) -> task<> {
        unsigned const wanted = round % items;
        unsigned const limit = 1 + round % 8;
        auto const item = [&](unsigned i) { return works(seen, i, i % 4, token(of)); };
        auto const reads = [&](auto& s) -> task<> {
            for (unsigned i = 0; i < wanted; ++i) {
                auto const each = co_await s.next();
                REQUIRE(each.has_value());
                ++seen.given[each->index];
            }
        };
        co_await batch_stream(std::views::iota(0U, items), item, reads, {.limit = limit});
        CHECK(seen.none_twice());
        CHECK(ledger::once(seen.given) == wanted);
        CHECK(ledger::once(seen.begun) <= wanted + limit);
        for (unsigned i = 0; i < items; ++i) {  // what in_many_rounds() asks for
            seen.begun[i] = seen.given[i] = 1;
        }
    });
}

}  // namespace
