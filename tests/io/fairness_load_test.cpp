// Fairness under load: more tasks than a run queue holds, thousands of connections, a gather that floods the worker, and
// what a stuck worker leaves behind. Counted, not timed: docs/architecture.md, Bounds.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/io/op.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <io/support/storm.hpp>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

TEST_CASE("more ready tasks than a run queue holds: each has its turn, and none waits for two rounds of all") {
    for (unsigned const n : {250U, 300U, 640U, 1500U, 2000U}) {
        CAPTURE(n);
        unsigned const all = n * rounds(100);
        unsigned total = 0;
        std::vector<unsigned> turns(n);
        std::vector<unsigned> last(n);
        std::vector<unsigned> longest(n);
        auto const storm = [&](unsigned i) -> task<> {
            while (total < all) {
                ++total;
                ++turns[i];
                longest[i] = std::max(longest[i], total - std::exchange(last[i], total));
                co_await this_task::yield();
            }
        };
        auto const body = [&]() -> task<> {
            std::vector<join_handle<void>> handles;
            for (unsigned i = 0; i < n; ++i) {
                handles.push_back(spawn(storm(i)));
            }
            for (auto& each : handles) {
                co_await std::move(each);
            }
        };
        run(body(), threads(1));
        for (unsigned i = 0; i < n; ++i) {
            longest[i] = std::max(longest[i], all - last[i]);
        }
        // One round of those that came back from the inject queue, 32 with each look, and the run queue.
        CHECK(*std::ranges::max_element(longest) <= n * interval / 32 + 256 + interval);
        if (!sanitized) {
            CHECK(*std::ranges::min_element(turns) >= all / n / 2);
            CHECK(*std::ranges::max_element(turns) <= all / n * 3);
        }
    }
}

// Then what comes back from the inject queue with a look is more than has run since the one before.
TEST_CASE("more ready tasks than a run queue holds, with turns of a whole interval: none waits for two rounds of all") {
    unsigned const n = 1024;
    unsigned const all = n * rounds(60);
    unsigned total = 0;
    std::size_t running = n;
    std::vector<unsigned> last(n);
    unsigned longest = 0;
    auto const storm = [&](std::size_t i) -> task<> {
        semaphore free(1);
        while (total < all) {
            if (std::exchange(running, i) != i) {
                ++total;
                longest = std::max(longest, total - std::exchange(last[i], total));
            }
            auto const mine = co_await free.acquire();
        }
    };
    auto const body = [&]() -> task<> {
        std::vector<join_handle<void>> handles;
        for (std::size_t i = 0; i < n; ++i) {
            handles.push_back(spawn(storm(i)));
        }
        for (auto& each : handles) {
            co_await std::move(each);
        }
    };
    run(body(), threads(1));
    for (unsigned const each : last) {
        longest = std::max(longest, all - each);
    }
    CHECK(longest <= n * interval / 32 + 256 + interval);
}

TEST_CASE("a posted function behind an overflow waits for its turn among those that overflowed") {
    for (unsigned const tasks : {300U, 1000U, 2000U}) {
        CAPTURE(tasks);
        auto const other = [](watch& w) -> task<> {
            co_await this_task::yield();
            unsigned const before = w.resumed;
            std::atomic<bool> served{false};
            w.rt->post([&] {
                w.served = w.resumed - before;
                served = true;
            });
            while (!served) {
                co_await this_task::yield();
            }
        };
        CHECK(waited(threads(1), tasks, other) <= tasks * interval / 32 + 256 + 2 * interval);
    }
}

struct socket_pair {
    io::fd one;
    io::fd other;
};

socket_pair make_sockets() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    return {io::fd(ends[0]), io::fd(ends[1])};
}

io::op<> write_some(io::fd const& to, std::span<std::byte const> from) {
    return io::op({.code = io::opcode::write,
                   .fd = to.get(),
                   .offset = ~std::uint64_t{0},
                   .address = reinterpret_cast<std::uintptr_t>(from.data()),
                   .length = static_cast<std::uint32_t>(from.size())});
}

// Two thousand, or as many as there may be descriptors for.
unsigned connections() {
    ::rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    return static_cast<unsigned>(std::min<rlim_t>(2000, (files.rlim_cur - 100) / 2));
}

// Requests that each of `n` connections had when all together had `all` of them: their clients ask again at once. They go
// on until `waited_for` connections have been served at all.
std::vector<unsigned> served_evenly(config c, unsigned n, unsigned all, unsigned waited_for = 0) {
    c.hooks.on_stall = [](event_info const&) {};  // that so many workers share few cores is none of this test's business
    std::atomic<unsigned> total{0};
    std::atomic<unsigned> known{0};
    std::vector<std::atomic<unsigned>> served(n);
    auto const serves = [&](io::fd const& socket, unsigned i) -> task<> {
        std::byte byte{};
        for (bool first = true;; first = false) {
            auto const got = co_await read_some(socket, {&byte, 1});
            if (!got || *got == 0) {
                co_return;
            }
            known += first ? 1 : 0;
            if (total.fetch_add(1) < all) {
                ++served[i];
            }
            (void)co_await write_some(socket, {&byte, 1});
        }
    };
    auto const asks = [&](io::fd socket) -> task<> {
        std::byte byte{};
        while (total < all || known < waited_for) {
            (void)co_await write_some(socket, {&byte, 1});
            (void)co_await read_some(socket, {&byte, 1});
        }
    };
    auto const body = [&]() -> task<> {
        std::vector<io::fd> servers;
        std::vector<join_handle<void>> tasks;
        for (unsigned i = 0; i < n; ++i) {
            auto ends = make_sockets();
            servers.push_back(std::move(ends.one));
            tasks.push_back(spawn(asks, std::move(ends.other)));
        }
        for (unsigned i = 0; i < n; ++i) {
            tasks.push_back(spawn(serves(servers[i], i)));
        }
        for (auto& each : tasks) {
            co_await std::move(each);
        }
    };
    run(body(), c);
    return {served.begin(), served.end()};
}

TEST_CASE("two thousand connections that are always busy are served evenly") {
    unsigned const n = connections();
    unsigned const mean = sanitized ? 5 : 20;
    on_each_backend(1, [&](config const& c) {
        auto const served = served_evenly(c, n, n * mean);
        CHECK(std::accumulate(served.begin(), served.end(), 0U) == n * mean);
        CHECK(*std::ranges::min_element(served) >= mean * 2 / 5);
        CHECK(*std::ranges::max_element(served) <= mean * 2);
    });
}

// How often each is served is up to the kernel, which lets workers wait for a CPU. A forgotten one would hang the test.
TEST_CASE("on several workers no connection is forgotten") {
    unsigned const n = connections() / 4;
    unsigned const mean = sanitized ? 5 : 25;
    for (unsigned const workers : {2U, 8U}) {
        on_each_backend(workers, [&](config const& c) {
            auto const served = served_evenly(c, n, n * mean, n);
            CHECK(std::accumulate(served.begin(), served.end(), 0U) == n * mean);
        });
    }
}

TEST_CASE("a gather of hundreds of thousands does not starve the accept loop") {
    on_each_backend(1, [](config const& c) {
        runtime rt(c);
        unsigned ran = 0;
        unsigned connected = 0;
        std::vector<unsigned> waits;
        auto const listener = listen_on_loopback();
        auto const where = listener.local_endpoint().value();
        std::vector<io::fd> clients;
        auto const accepts = [&]() -> task<> {
            while (waits.size() != 20) {
                CHECK((co_await listener.accept()).has_value());
                waits.push_back(ran - connected);
            }
        };
        auto const child = [&](unsigned i) -> task<> {
            ++ran;
            if (i % 5000 == 2500 && clients.size() < 20) {
                clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                connected = ran;  // the loopback device connects at once: there is room in the backlog
                REQUIRE(::connect(clients.back().get(), where.data(), where.size()) == 0);
            }
            co_return;
        };
        auto const body = [&]() -> task<> {
            auto loop = spawn(accepts());
            co_await let_others_run();
            std::vector<task<>> all;
            for (unsigned i = 0; i < 200'000; ++i) {
                all.push_back(child(i));
            }
            co_await gather(std::move(all));
            co_await std::move(loop);
        };
        rt.block_on(body());
        CHECK(ran == 200'000);
        REQUIRE(waits.size() == 20);
        CHECK(*std::ranges::max_element(waits) <= 2 * interval);
    });
}

TEST_CASE("what a stuck worker leaves behind is taken over at the next look of one that is not stuck") {
    // Timers, operations and forks of the stuck: from when the monitor has marked them.
    auto const body = [](watch& w, std::atomic<unsigned>& left, stuck_workers& stuck, unsigned storm) -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "xxxxxxxx");
        std::vector<std::byte> bytes(8);
        std::atomic<unsigned> next{0};
        auto const serve = [&] {
            w.served = w.resumed.load();
            --left;
        };
        auto const naps = [&]() -> task<> {
            co_await sleep(1ns);
            serve();
        };
        auto const reads = [&]() -> task<> {
            CHECK((co_await read_some(ends.read, {&bytes[next++], 1})).value() == 1);
            serve();
        };
        std::vector<join_handle<void>> stranded(16);
        std::atomic<unsigned> begun{0};
        co_await stuck.block([&] {
            left += 2;
            unsigned const at = begun.fetch_add(2);
            stranded[at] = spawn({.eager = true}, naps);
            stranded[at + 1] = spawn({.eager = true}, reads);
        });
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < storm; ++i) {
            all.push_back(spawn(storms(w)));
        }
        while (!stuck.marked()) {
            co_await this_task::yield();
        }
        unsigned const marked = w.resumed;
        while (left != 0) {
            co_await this_task::yield();
        }
        w.over = true;
        CHECK(std::max(w.served.load(), marked) - marked <= 2 * interval + storm + 1);
        for (auto& each : all) {
            co_await std::move(each);
        }
        co_await stuck.release();
        for (unsigned i = 0; i < begun; ++i) {
            co_await std::move(stranded[i]);
        }
    };
    for (unsigned const workers : {2U, 8U}) {
        on_each_backend(workers, [&](config c) {
            c.spare_worker = false;
            for (unsigned const storm : {1U, 100U}) {
                CAPTURE(storm);
                runtime rt(c);
                watch w;
                std::atomic<unsigned> left{0};
                stuck_workers stuck(workers - 1);
                rt.block_on(body(w, left, stuck, storm));
                CHECK(rt.snapshot().totals().timers_taken_over + rt.snapshot().totals().completions_taken_over >= 1);
            }
        });
    }
}

}  // namespace
