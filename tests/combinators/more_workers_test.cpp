// More workers than CPUs: the kernel stops any of them anywhere, for milliseconds, and what they leave half done must
// not be lost, nor done twice.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <ranges>
#include <string>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<unsigned> fib(unsigned n) {
    if (n < 2) {
        co_return n;
    }
    auto [a, b] = co_await gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

TEST_CASE("many workers on few CPUs: forks and joins") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(40) + 1; ++r) {
            CHECK(rt.block_on(fib(15)) == 610);
        }
    }
}

task<> storm(std::atomic<unsigned>& ran, unsigned depth) {
    ++ran;
    co_await this_task::yield();
    if (depth != 0) {
        std::vector<join_handle<void>> handles;
        for (unsigned i = 0; i < 8; ++i) {
            handles.push_back(spawn(storm(ran, depth - 1)));
        }
        for (auto& each : handles) {
            co_await each;
        }
    }
}

TEST_CASE("many workers on few CPUs: a storm of spawns runs each task once, and all sleep behind it") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        for (unsigned r = 0; r < rounds(10) + 1; ++r) {
            std::atomic<unsigned> ran{0};
            rt.block_on(storm(ran, 4));
            CHECK(ran == 1 + 8 + 64 + 512 + 4096);
        }
        until([&] { return rt.snapshot().tasks_live == 0; });
    }
}

TEST_CASE("many workers on few CPUs: half of them are stuck, the others do what those would have done") {
    for (unsigned const workers : {8U, 16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::atomic<unsigned> ran{0};
        std::atomic<bool> go{false};
        auto const stuck = [&]() -> task<> {
            for (int i = 0; i < 10; ++i) {
                spawn_detached(
                    [](std::atomic<unsigned>& into) -> task<> {
                        co_await sleep(std::chrono::milliseconds{1});
                        ++into;
                    },
                    std::ref(ran));
            }
            co_await this_task::yield();
            until([&] { return go.load(); });
        };
        std::vector<join_handle<void>> handles;
        for (unsigned i = 0; i < workers / 2; ++i) {
            handles.push_back(rt.spawn(stuck()));
        }
        until([&] { return ran == workers / 2 * 10; });
        go = true;
        for (auto& each : handles) {
            each.blocking_wait();
        }
        CHECK(ran == workers / 2 * 10);
    }
}

// A number of repetitions: with 64 workers each of them takes longer.
unsigned turns(unsigned plain, unsigned workers) {
    return rounds(workers > 16 ? plain / 4 : plain) + 1;
}

TEST_CASE("many workers on few CPUs: a long range, some of whose children wait, gives its values in order") {
    for (unsigned const workers : {16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        unsigned const count = rounds(5000);
        std::atomic<unsigned> ran{0};
        auto const child = [&](unsigned i) -> task<unsigned> {
            ran.fetch_add(1);
            if (i % 7 == 0) {
                co_await this_task::yield();
            }
            if (i % 11 == 0) {
                co_return co_await fib(i % 8) + i;
            }
            co_return i;
        };
        constexpr unsigned fibs[] = {0, 1, 1, 2, 3, 5, 8, 13};
        auto const body = [&]() -> task<> {
            auto const values = co_await gather(std::views::iota(0U, count) | std::views::transform(child));
            unsigned wrong = 0;
            for (unsigned i = 0; i < count; ++i) {
                wrong += values[i] == i + (i % 11 == 0 ? fibs[i % 8] : 0) ? 0U : 1U;
            }
            CHECK(wrong == 0);
        };
        for (unsigned r = 0; r < turns(20, workers); ++r) {
            ran = 0;
            rt.block_on(body());
            CHECK(ran == count);
        }
    }
}

TEST_CASE("many workers on few CPUs: a mutex, a semaphore and a queue keep their word") {
    for (unsigned const workers : {16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        unsigned const times = turns(80, workers);
        constexpr unsigned tasks = 64;
        mutex one;
        unsigned plain = 0;  // what the mutex guards
        semaphore three(3);
        std::atomic<int> inside{0};
        std::atomic<bool> crowded{false};
        queue<unsigned> narrow(4);
        std::atomic<std::uint64_t> taken{0};
        auto const uses_all = [&](unsigned me) -> task<> {
            for (unsigned i = 0; i < times; ++i) {
                {
                    auto const guard = co_await one.lock();
                    unsigned const seen = plain;
                    if (i % 8 == 0) {
                        co_await this_task::yield();  // and goes on elsewhere, perhaps
                    }
                    plain = seen + 1;
                }
                {
                    auto const permit = co_await three.acquire();
                    crowded = crowded || inside.fetch_add(1) >= 3;
                    co_await this_task::yield();
                    inside.fetch_sub(1);
                }
                if (me % 2 == 0) {
                    co_await narrow.put(me * times + i);
                } else {
                    taken.fetch_add(co_await narrow.get());
                }
            }
        };
        auto const body = [&]() -> task<> {
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < tasks; ++i) {
                all.push_back(spawn(uses_all(i)));
            }
            for (auto& each : all) {
                co_await each;
            }
        };
        rt.block_on(body());
        CHECK(plain == tasks * times);
        CHECK_FALSE(one.locked());
        CHECK_FALSE(crowded.load());
        CHECK(three.available() == 3);
        CHECK(narrow.size() == 0);
        std::uint64_t put = 0;
        for (unsigned me = 0; me < tasks; me += 2) {
            put += std::uint64_t{times} * (me * times) + std::uint64_t{times} * (times - 1) / 2;
        }
        CHECK(taken == put);
    }
}

// Waits for good, after so many turns; counts itself as long as it lives.
task<unsigned> stays(token, std::atomic<unsigned>& begun, unsigned turns_before) {
    begun.fetch_add(1);
    for (unsigned i = 0; i < turns_before; ++i) {
        co_await this_task::yield();
    }
    co_await sleep(std::chrono::hours{1});
    co_return 0;
}

TEST_CASE("many workers on few CPUs: a gather that is cancelled while its children begin leaves none behind") {
    for (unsigned const workers : {16U, 64U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        tally objects;
        constexpr unsigned children = 600;  // more than are made at once
        for (unsigned r = 0; r < turns(80, workers); ++r) {
            std::atomic<unsigned> begun{0};
            auto const child = [&](unsigned i) { return stays(token(objects), begun, i % 3); };
            auto const nested = [&](unsigned i) -> task<unsigned> {
                auto const [a, b] = co_await gather(child(i), child(i + 1));
                co_return a + b;
            };
            auto h = r % 2 == 0 ? rt.spawn(gather(std::views::iota(0U, children) | std::views::transform(child)))
                                : rt.spawn(gather(std::views::iota(0U, children / 2) | std::views::transform(nested)));
            unsigned const enough = r * 37 % children;
            until([&] { return begun.load() >= enough; });
            h.cancel();
            h.blocking_wait();
            CHECK(h.cancelled());
            until([&] { return objects.alive == 0; });  // the range's own go with the gather's frame, a moment later
            CHECK(begun <= children);
        }
        CHECK(rt.snapshot().totals().timers == 0);
        until([&] { return rt.snapshot().tasks_live == 0; });
    }
}

task<unsigned> tree(token kept, unsigned depth, unsigned path, unsigned bad, std::atomic<unsigned>& thrown) {
    if (depth == 0) {
        co_await this_task::yield();
        if (path % bad == bad - 1) {
            thrown.fetch_add(1);
            throw oops(std::to_string(path));
        }
        co_return 1;
    }
    auto const [a, b, c] =
        co_await gather(tree(kept, depth - 1, path * 3, bad, thrown), tree(kept, depth - 1, path * 3 + 1, bad, thrown),
                        tree(kept, depth - 1, path * 3 + 2, bad, thrown));
    co_return a + b + c;
}

TEST_CASE("many workers on few CPUs: an error comes up through joins that were stolen; each other one is suppressed") {
    for (unsigned const workers : {16U, 64U}) {
        CAPTURE(workers);
        std::atomic<unsigned> suppressed{0};
        config c = threads(workers);
        c.hooks.on_suppressed = [&](event_info const&) { suppressed.fetch_add(1); };
        runtime rt(c);
        tally objects;
        unsigned failed = 0;
        for (unsigned r = 0; r < turns(200, workers); ++r) {
            std::atomic<unsigned> thrown{0};
            suppressed = 0;
            unsigned const bad = 1 + r * 13 % 300;  // 243 leaves: none fails, or one, or many
            bool got_error = false;
            try {
                unsigned const leaves = rt.block_on(tree(token(objects), 5, 0, bad, thrown));
                CHECK(leaves == 243);
            } catch (oops const& e) {
                got_error = true;
                CHECK(static_cast<unsigned>(std::stoul(e.what())) % bad == bad - 1);
            }
            CHECK(got_error == (bad <= 243));
            CHECK(suppressed + (got_error ? 1U : 0U) == thrown);
            failed += got_error ? 1 : 0;
            until([&] { return objects.alive == 0; });
        }
        CHECK(failed > 0);
    }
}

}  // namespace
