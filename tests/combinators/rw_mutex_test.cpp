#include <magpie/combinators/rw_mutex.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> yields(int times) {
    for (int i = 0; i < times; ++i) {
        co_await this_task::yield();
    }
}

TEST_CASE("BEY-24: readers go in together, a writer alone") {
    auto const body = []() -> task<> {
        rw_mutex m;
        {
            auto const one = co_await m.lock_shared();
            auto const two = co_await m.lock_shared();
            CHECK(m.try_lock_shared());
            CHECK_FALSE(m.try_lock());
        }
        {
            auto const alone = co_await m.lock();
            CHECK_FALSE(m.try_lock());
            CHECK_FALSE(m.try_lock_shared());
        }
        CHECK(m.try_lock());
    };
    run(body(), simulated());
}

TEST_CASE("BEY-24: first come, first served: readers do not overtake a writer, and go in together behind it") {
    auto const body = []() -> task<> {
        rw_mutex m;
        trace seen;
        auto const reads = [&](std::string name) -> task<> {
            auto const guard = co_await m.lock_shared();
            seen.push_back(name + " in");
            co_await nap(1ms);
            seen.push_back(name + " out");
        };
        auto const writes = [&](std::string name) -> task<> {
            auto const guard = co_await m.lock();
            seen.push_back(name + " in");
            co_await nap(1ms);
            seen.push_back(name + " out");
        };
        co_await gather(reads("a"), writes("W"), reads("b"), reads("c"), writes("V"));
        CHECK(seen == trace{"a in", "a out", "W in", "W out", "b in", "c in", "b out", "c out", "V in", "V out"});
        CHECK(m.waiting() == 0);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-24: a writer that is cancelled while it waits lets the readers behind it in") {
    auto const body = []() -> task<> {
        rw_mutex m;
        auto const held = co_await m.lock_shared();
        auto writer = spawn(m.lock());
        auto reader = spawn(m.lock_shared());
        co_await yields(2);
        CHECK(m.waiting() == 2);
        writer.cancel();
        co_await yields(2);
        CHECK(writer.cancelled());
        CHECK(reader.done());
    };
    run(body(), simulated());
}

TEST_CASE("BEY-24: writers change plain data that readers read, on several workers") {
    for (unsigned workers : {2U, 8U}) {
        auto const body = []() -> task<> {
            rw_mutex m;
            long a = 0;
            long b = 0;
            std::atomic<int> torn{0};
            int const times = static_cast<int>(rounds(2000));
            auto const writes = [&]() -> task<> {
                for (int i = 0; i < times; ++i) {
                    auto const guard = co_await m.lock();
                    ++a;
                    if (i % 16 == 0) {
                        co_await this_task::yield();
                    }
                    ++b;
                }
            };
            auto const reads = [&]() -> task<> {
                for (int i = 0; i < times; ++i) {
                    auto const guard = co_await m.lock_shared();
                    if (a != b) {
                        torn.fetch_add(1);
                    }
                }
            };
            co_await gather(writes(), reads(), reads(), writes(), reads());
            CHECK(torn == 0);
            CHECK(a == 2 * times);
            CHECK(b == a);
        };
        run(body(), threads(workers));
    }
}

} // namespace
