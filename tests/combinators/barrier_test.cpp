#include <magpie/combinators/barrier.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> arrives(magpie::barrier& b, trace& seen, std::string name) {
    try {
        name += std::to_string(co_await b.arrive_and_wait());
    } catch (broken_barrier const&) {
        name += " broken";
    }
    seen.push_back(std::move(name));
}

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("BAR-01: a barrier is for one at least") {
    CHECK_THROWS_AS(magpie::barrier(0), std::invalid_argument);
    CHECK_THROWS_AS(magpie::barrier(-1), std::invalid_argument);
    CHECK(magpie::barrier(3).parties() == 3);
}

TEST_CASE("BAR-02, BAR-04: each of three has another index; waiting() counts one, two, and then none") {
    auto const body = []() -> task<> {
        magpie::barrier b(3);
        trace seen;
        auto first = spawn(arrives(b, seen, "a"));
        co_await yields(2);
        CHECK(b.waiting() == 1);
        auto second = spawn(arrives(b, seen, "b"));
        co_await yields(2);
        CHECK(b.waiting() == 2);
        CHECK(seen.empty());
        co_await arrives(b, seen, "c");
        CHECK(seen == trace{"c2"});  // the last one does not suspend
        CHECK(b.waiting() == 0);
        co_await yields(1);
        CHECK(seen == trace{"c2", "a0", "b1"});
        CHECK_FALSE(b.broken());
    };
    run(body(), simulated());
}

TEST_CASE("BAR-03: a barrier for one never blocks, again and again") {
    auto const body = []() -> task<> {
        magpie::barrier b(1);
        for (int i = 0; i < 5000; ++i) {
            CHECK(co_await b.arrive_and_wait() == 0);
        }
        CHECK(b.waiting() == 0);
    };
    run(body(), simulated());
    run(body(), threads(1));
}

TEST_CASE("BAR-05, BAR-07: who is through and arrives again waits in the next round, before the others have resumed") {
    auto const body = []() -> task<> {
        magpie::barrier b(2);
        trace seen;
        auto const rounds_of = [&](std::string name) -> task<> {
            for (int i = 0; i < 3; ++i) {
                co_await b.arrive_and_wait();
                seen.push_back(name + std::to_string(i));
            }
        };
        co_await gather(rounds_of("a"), rounds_of("b"));
        // b arrives last in round 0, goes on, and waits in round 1 before a has resumed.
        CHECK(seen == trace{"b0", "a0", "a1", "b1", "b2", "a2"});
    };
    run(body(), simulated());
}

TEST_CASE("BAR-08: a cancelled waiter is taken out, the barrier is not broken, and another takes its place") {
    auto const body = []() -> task<> {
        magpie::barrier b(3);
        trace seen;
        auto first = spawn(arrives(b, seen, "a"));
        auto second = spawn(arrives(b, seen, "b"));
        co_await yields(2);
        first.cancel();
        co_await yields(2);
        CHECK(first.cancelled());
        CHECK(b.waiting() == 1);
        CHECK_FALSE(b.broken());
        auto third = spawn(arrives(b, seen, "c"));
        co_await yields(2);
        CHECK(seen.empty());
        co_await arrives(b, seen, "d");
        co_await yields(2);
        CHECK(seen == trace{"d2", "b0", "c1"});
    };
    run(body(), simulated());
}

TEST_CASE("BAR-08, D9: let through first, cancelled second: it goes on, and the request stays pending") {
    auto const body = []() -> task<> {
        magpie::barrier b(2);
        trace seen;
        auto const goes_on = [&]() -> task<> {
            co_await arrives(b, seen, "a");
            co_await this_task::yield();
            seen.push_back("never");
        };
        auto h = spawn(goes_on());
        co_await yields(2);
        co_await b.arrive_and_wait();
        h.cancel();
        co_await yields(3);
        CHECK(h.cancelled());
        CHECK(seen == trace{"a0"});
    };
    run(body(), simulated());
}

TEST_CASE("BAR-08: a request that was pending is delivered by an arrival that would wait, not by the last one") {
    auto const body = []() -> task<> {
        magpie::barrier b(2);
        this_task::cancel();
        CHECK(co_await how(b.arrive_and_wait()) == "cancelled");
        CHECK(b.waiting() == 0);
        this_task::uncancel();
        trace seen;
        auto h = spawn(arrives(b, seen, "a"));
        co_await yields(2);
        this_task::cancel();
        CHECK(co_await b.arrive_and_wait() == 1);
        this_task::uncancel();
        co_await std::move(h);
    };
    run(body(), simulated());
}

TEST_CASE("BAR-09: reset breaks it for those who wait, and for nobody else") {
    auto const body = []() -> task<> {
        magpie::barrier b(3);
        trace seen;
        b.reset();
        auto first = spawn(arrives(b, seen, "a"));
        auto second = spawn(arrives(b, seen, "b"));
        co_await yields(2);
        b.reset();
        CHECK(b.waiting() == 0);
        CHECK_FALSE(b.broken());
        co_await yields(1);
        CHECK(seen == trace{"a broken", "b broken"});
        seen.clear();
        co_await gather(arrives(b, seen, "c"), arrives(b, seen, "d"), arrives(b, seen, "e"));
        CHECK(seen == trace{"e2", "c0", "d1"});
    };
    run(body(), simulated());
}

TEST_CASE("BAR-10: a reset does not touch those who were let through, resumed or not") {
    auto const body = []() -> task<> {
        magpie::barrier b(3);
        trace seen;
        auto first = spawn(arrives(b, seen, "a"));
        auto second = spawn(arrives(b, seen, "b"));
        co_await yields(2);
        co_await arrives(b, seen, "c");  // the round is over; a and b have not resumed
        auto next = spawn(arrives(b, seen, "d"));
        b.reset();
        co_await yields(3);
        CHECK(seen == trace{"c2", "a0", "b1"});
        CHECK(b.waiting() == 1);  // d came after the reset
        b.reset();
        co_await yields(2);
        CHECK(seen.back() == "d broken");
    };
    run(body(), simulated());
}

TEST_CASE("BAR-11: after an abort whoever waits or arrives gets broken_barrier, until a reset") {
    auto const body = []() -> task<> {
        magpie::barrier b(2);
        trace seen;
        auto h = spawn(arrives(b, seen, "a"));
        co_await yields(2);
        b.abort();
        b.abort();
        CHECK(b.broken());
        CHECK(b.waiting() == 0);
        co_await arrives(b, seen, "b");
        co_await yields(2);
        CHECK(seen == trace{"b broken", "a broken"});
        b.reset();
        CHECK_FALSE(b.broken());
        seen.clear();
        co_await gather(arrives(b, seen, "c"), arrives(b, seen, "d"));
        CHECK(seen == trace{"d1", "c0"});
    };
    run(body(), simulated());
}

TEST_CASE("BAR-12: a participant fails and aborts, the others are told, a reset makes it usable again") {
    auto const body = []() -> task<> {
        magpie::barrier b(3);
        auto const fails = [&]() -> task<std::string> {
            try {
                co_await nap(1ms);
                throw oops("no");
            } catch (oops const&) {
                b.abort();
            }
            co_return "failed";
        };
        auto const [x, y, z] = co_await gather(how(b.arrive_and_wait()), how(b.arrive_and_wait()), fails());
        CHECK(x == "the barrier is broken");
        CHECK(y == x);
        CHECK(z == "failed");
        b.reset();
        trace seen;
        co_await gather(arrives(b, seen, "a"), arrives(b, seen, "b"), arrives(b, seen, "c"));
        CHECK(seen.size() == 3);
    };
    run(body(), simulated());
}

TEST_CASE("a deadline at a barrier takes the arrival back") {
    auto const body = []() -> task<> {
        magpie::barrier b(2);
        CHECK(co_await how(timeout(1ms, b.arrive_and_wait())) == "timeout");
        CHECK(b.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("BAR-02, BAR-05: many rounds on several workers: all indices, nobody slips through two rounds") {
    for (unsigned workers : {2U, 8U}) {
        auto const body = []() -> task<> {
            constexpr int parties = 5;
            int const times = static_cast<int>(rounds(2000));
            magpie::barrier b(parties);
            std::array<std::atomic<int>, parties> at{};
            std::vector<std::atomic<int>> indices(static_cast<std::size_t>(times));
            std::atomic<bool> apart{false};
            auto const runs = [&](std::size_t own) -> task<> {
                for (int i = 0; i < times; ++i) {
                    at[own].store(i + 1);
                    std::size_t const index = co_await b.arrive_and_wait();
                    indices[static_cast<std::size_t>(i)].fetch_add(1 << index);
                    for (auto const& other : at) {
                        int const seen = other.load();  // everybody has arrived in round i, and nobody passed i + 1
                        if (seen < i + 1 || seen > i + 2) {
                            apart = true;
                        }
                    }
                }
            };
            co_await gather(runs(0), runs(1), runs(2), runs(3), runs(4));
            CHECK_FALSE(apart);
            CHECK(std::ranges::all_of(indices, [](auto const& each) { return each == (1 << parties) - 1; }));
        };
        run(body(), threads(workers));
    }
}

TEST_CASE("BAR-08: a cancellation races with the last arrival: through with all parties, or cancelled") {
    for (unsigned workers : {2U, 8U}) {
        runtime rt(threads(workers));
        auto const body = []() -> task<> {
            for (unsigned i = 0; i < rounds(2000); ++i) {
                magpie::barrier b(3);
                std::atomic<int> through{0};
                auto const arrives_once = [&]() -> task<> {
                    co_await b.arrive_and_wait();
                    through.fetch_add(1);
                };
                auto first = spawn(arrives_once());
                auto victim = spawn(arrives_once());
                auto last = spawn(arrives_once());
                if (i % 2 == 0) {
                    co_await this_task::yield();
                }
                victim.cancel();
                bool cancelled = false;
                try {
                    co_await victim;
                } catch (child_cancelled const&) {
                    cancelled = true;
                }
                if (cancelled) {
                    CHECK(through == 0);
                    co_await arrives_once();
                }
                co_await std::move(first);
                co_await std::move(last);
                CHECK(through == 3);
                CHECK(b.waiting() == 0);
            }
        };
        rt.block_on(body());
    }
}

TEST_CASE("BAR-11, G3: aborted from a foreign thread; destroyed by the first to come through") {
    runtime rt(threads(2));
    magpie::barrier b(2);
    std::atomic<int> broken{0};
    auto const waits = [&]() -> task<> {
        try {
            co_await b.arrive_and_wait();
        } catch (broken_barrier const&) {
            broken.fetch_add(1);
        }
    };
    for (unsigned i = 0; i < rounds(500); ++i) {
        auto h = rt.spawn(waits());
        until([&] { return b.waiting() == 1; });
        b.abort();
        b.reset();
        h.blocking_wait();
        CHECK(broken == static_cast<int>(i + 1));
    }
    auto const dies = []() -> task<> {
        for (unsigned i = 0; i < rounds(2000); ++i) {
            auto* const shared = new magpie::barrier(2);
            std::atomic<int> first{0};
            auto const leaves = [&](magpie::barrier* at) -> task<> {
                co_await at->arrive_and_wait();
                if (first.fetch_add(1) == 0) {
                    delete at;
                }
            };
            co_await gather(leaves(shared), leaves(shared));
        }
    };
    rt.block_on(dies());
}

} // namespace
