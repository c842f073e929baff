// How many resumptions may pass before something that is ready is served: docs/architecture.md, Bounds. On one worker,
// where nobody else can help; counted, not timed.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

constexpr unsigned interval = 61;  // config.event_interval

// Everything runs on one thread: plain counters do.
struct watch {
    unsigned resumed = 0;  // resumptions of the storm
    unsigned served = 0;   // how many of them there had been when the other was served
    bool over = false;
};

task<> storms(watch& w) {
    while (!w.over) {
        ++w.resumed;
        co_await this_task::yield();
    }
}

// The storm's tasks, and then `other`, which ends the storm; what `other` says is how long it had to wait.
template <class Other>
unsigned waited(config c, unsigned tasks, Other other) {
    watch w;
    runtime rt(c);
    auto const body = [&]() -> task<> {
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < tasks; ++i) {
            all.push_back(spawn(storms(w)));
        }
        co_await spawn(other(w));
        w.over = true;
        for (auto& each : all) {
            co_await std::move(each);
        }
    };
    rt.block_on(body());
    return w.served;
}

TEST_CASE("a task that becomes ready waits for one turn of each that was ready before it") {
    auto const other = [](watch& w) -> task<> {
        co_await this_task::yield();  // the storm is under way
        unsigned const before = w.resumed;
        co_await this_task::yield();
        w.served = w.resumed - before;
    };
    for (unsigned const tasks : {1U, 10U, 100U}) {
        CAPTURE(tasks);
        CHECK(waited(threads(1), tasks, other) <= tasks + 1);
    }
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
            w.served = std::max(w.served, w.resumed);
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
    on_each_backend(1, [](config const& c) {
        auto const other = [](watch& w) -> task<> {
            auto const ends = make_pipe();
            put(ends.write, "x");
            std::byte byte{};
            co_await this_task::yield();
            unsigned const before = w.resumed;
            CHECK((co_await read_some(ends.read, {&byte, 1})).value() == 1);
            w.served = w.resumed - before;
        };
        for (unsigned const tasks : {1U, 10U, 100U}) {
            CAPTURE(tasks);
            CHECK(waited(c, tasks, other) <= 2 * interval + tasks + 1);
        }
    });
}

TEST_CASE("a descriptor that is always ready does not starve tasks") {
    on_each_backend(1, [](config const& c) {
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
            auto reads_on = spawn(reader());
            co_await spawn(other());
            co_await std::move(reads_on);
        };
        rt.block_on(body());
        CHECK(most <= 2 * interval);
    });
}

}  // namespace
