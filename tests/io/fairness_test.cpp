// How many resumptions may pass before something that is ready is served: docs/architecture.md, Bounds. On one worker,
// where nobody else can help, or where all others are stuck; counted, not timed.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <io/support/storm.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

TEST_CASE("a task that becomes ready waits for one turn of each that was ready before it") {
    auto const other = [](watch& w) -> task<> {
        co_await this_task::yield();  // the storm is under way
        unsigned const before = w.resumed;
        co_await this_task::yield();
        w.served = w.resumed - before;
    };
    on_one_worker({}, [&](config const& c) {
        for (unsigned const tasks : {1U, 10U, 100U}) {
            CAPTURE(tasks);
            CHECK(waited(c, tasks, other) <= tasks + 1);
        }
    });
}

TEST_CASE("what another thread posts or spawns is taken in at the next look, and is then a ready task like others") {
    auto const other = [](watch& w) -> task<> {
        runtime& rt = *w.rt;
        co_await this_task::yield();
        std::atomic<unsigned> served{0};
        unsigned before = 0;
        auto const serve = [&] {
            w.served = std::max(w.served.load(), w.resumed - before);
            ++served;
        };
        for (unsigned i = 0; i < 20; ++i) {
            served = 0;
            before = w.resumed;
            // In one turn: the storm stands still until both are queued.
            std::thread([&] {
                rt.post([&] { serve(); });
                rt.spawn([&]() -> task<> {
                      serve();
                      co_return;
                  }).detach();
            }).join();
            while (served != 2) {
                co_await this_task::yield();
            }
        }
    };
    on_one_worker({}, [&](config const& c) {
        for (unsigned const tasks : {1U, 10U, 100U}) {
            CAPTURE(tasks);
            // The second may come with the look after that of the first: on n workers a look takes its share.
            CHECK(waited(c, tasks, other) <= 2 * interval + tasks + 1);
        }
    });
}

TEST_CASE("a timer that is due fires at the next look; a hundred of them are two looks' work") {
    auto const other = [](watch& w) -> task<> {
        std::atomic<unsigned> woken{0};
        auto const naps = [&](unsigned before) -> task<> {
            co_await sleep(1ns);
            w.served = std::max(w.served.load(), w.resumed - before);
            ++woken;
        };
        co_await this_task::yield();
        for (unsigned const sleepers : {1U, 100U}) {
            woken = 0;
            std::vector<join_handle<void>> all;
            for (unsigned i = 0; i < sleepers; ++i) {
                all.push_back(spawn({.eager = true}, naps, w.resumed.load()));
            }
            while (woken != sleepers) {
                co_await this_task::yield();
            }
            for (auto& each : all) {
                co_await std::move(each);
            }
        }
    };
    on_one_worker({}, [&](config const& c) {
        for (unsigned const tasks : {1U, 10U, 100U}) {
            CAPTURE(tasks);
            CHECK(waited(c, tasks, other) <= 2 * interval + tasks + 100 + 1);
        }
    });
}

TEST_CASE("two tasks that wake each other in turns starve no third one") {
    watch w;
    runtime rt(threads(1));
    queue<int> ping(0);
    queue<int> pong(0);
    CHECK(ping.try_put(1));
    auto const plays = [&](queue<int>& from, queue<int>& to) -> task<> {
        while (!w.over) {
            int const ball = co_await from.get();
            ++w.resumed;
            CHECK(to.try_put(ball));
        }
        (void)to.try_put(0);
    };
    auto const third = [&]() -> task<> {
        for (unsigned i = 0; i < 10; ++i) {
            co_await this_task::yield();
            w.served = std::max(w.served.load(), w.resumed.load());
            w.resumed = 0;
        }
        w.over = true;
    };
    auto const body = [&]() -> task<> {
        auto one = spawn(plays, std::ref(ping), std::ref(pong));
        auto two = spawn(plays, std::ref(pong), std::ref(ping));
        co_await spawn(third());
        co_await std::move(one);
        co_await std::move(two);
    };
    rt.block_on(body());
    CHECK(w.served <= 2 * interval);
}

TEST_CASE("children of a gather that await only what is ready do not starve the other children") {
    runtime rt(threads(1));
    semaphore free(1);
    unsigned taken = 0;
    unsigned before = 0;
    unsigned most = 0;
    unsigned ran = 0;
    auto const loops = [&]() -> task<> {
        while (ran != 20) {
            auto const mine = co_await free.acquire();
            ++taken;
        }
    };
    auto const other = [&]() -> task<> {
        most = std::max(most, taken - before);
        before = taken;
        ++ran;
        co_return;
    };
    auto const body = [&]() -> task<> {
        std::vector<task<>> all;
        for (unsigned i = 0; i < 21; ++i) {
            all.push_back(i == 0 ? loops() : other());
        }
        co_await gather(std::move(all));
    };
    rt.block_on(body());
    CHECK(ran == 20);
    CHECK(most <= 2 * interval);
}

TEST_CASE("children of a gather whose turns are a whole interval each do not starve a task in the queue") {
    runtime rt(threads(1));
    bool over = false;
    unsigned begun = 0;
    unsigned before = 0;
    unsigned most = 0;
    auto const child = [&]() -> task<> {
        ++begun;
        semaphore free(1);
        for (unsigned i = 0; i < interval; ++i) {
            auto const mine = co_await free.acquire();
        }
    };
    auto const queued = [&]() -> task<> {
        while (!over) {
            most = std::max(most, begun - before);
            before = begun;
            co_await this_task::yield();
        }
    };
    auto const body = [&]() -> task<> {
        auto other = spawn(queued());
        co_await this_task::yield();
        std::vector<task<>> all;
        for (unsigned i = 0; i < 200; ++i) {
            all.push_back(child());
        }
        co_await gather(std::move(all));
        over = true;
        co_await std::move(other);
    };
    rt.block_on(body());
    CHECK(begun == 200);
    CHECK(most <= 10);  // with each fork its turn comes nearer
}

TEST_CASE("a posted function, a spawned task and a due timer are served while a gather of many runs") {
    runtime rt(threads(1));
    unsigned ran = 0;
    unsigned posted = ~0U;
    unsigned spawned = ~0U;
    unsigned timed = ~0U;
    auto const child = [&](unsigned i) -> task<> {
        ++ran;
        if (i == 1000) {
            rt.post([&, before = ran] { posted = ran - before; });
            spawn_detached([&, before = ran]() -> task<> {
                spawned = ran - before;
                co_return;
            });
            spawn_detached([&]() -> task<> {
                unsigned const before = ran;
                co_await sleep(1ns);
                timed = ran - before;
            });
        }
        co_return;
    };
    auto const body = [&]() -> task<> {
        std::vector<task<>> all;
        for (unsigned i = 0; i < 100'000; ++i) {
            all.push_back(child(i));
        }
        co_await gather(std::move(all));
    };
    rt.block_on(body());
    CHECK(ran == 100'000);
    for (unsigned const each : {posted, spawned, timed}) {
        CHECK(each <= 2 * interval);
    }
}

TEST_CASE("a storm of tasks does not starve an operation: it is submitted at the next look, and seen at one after") {
    auto const other = [](watch& w) -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "x");
        std::byte byte{};
        co_await this_task::yield();
        unsigned const before = w.resumed;
        CHECK((co_await read_some(ends.read, {&byte, 1})).value() == 1);
        w.served = w.resumed - before;
    };
    on_each_backend(1, [&](config const& backend) {
        on_one_worker(backend, [&](config const& c) {
            for (unsigned const tasks : {1U, 10U, 100U}) {
                CAPTURE(tasks);
                CHECK(waited(c, tasks, other) <= 2 * interval + tasks + 1);
            }
        });
    });
}

TEST_CASE("a descriptor that is always ready does not starve tasks") {
    on_each_backend(1, [](config const& c) {
        for (unsigned const readers : {1U, 20U}) {
            CAPTURE(readers);
            runtime rt(c);
            unsigned reads = 0;
            unsigned most = 0;
            bool over = false;
            auto const reader = [&]() -> task<> {
                io::fd const zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
                std::byte byte{};
                while (!over) {
                    CHECK((co_await read_some(zero, {&byte, 1})).value() == 1);
                    ++reads;
                }
            };
            auto const other = [&]() -> task<> {
                for (unsigned i = 0; i < 50; ++i) {
                    unsigned const before = reads;
                    co_await this_task::yield();
                    most = std::max(most, reads - before);
                }
                over = true;
            };
            auto const body = [&]() -> task<> {
                std::vector<join_handle<void>> all;
                for (unsigned i = 0; i < readers; ++i) {
                    all.push_back(spawn(reader()));
                }
                co_await spawn(other());
                for (auto& each : all) {
                    co_await std::move(each);
                }
            };
            rt.block_on(body());
            CHECK(most <= (readers + 1) * interval);  // of one turn each, in which one reads for an interval at most
        }
    });
}

}  // namespace
