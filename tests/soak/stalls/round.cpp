#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dirent.h>
#include <soak/stalls/round.hpp>
#include <soak/stalls/session.hpp>

namespace magpie::tests {

using namespace std::chrono_literals;

namespace {

constexpr unsigned tcp_links = 24;
constexpr unsigned unix_links = 6;
constexpr unsigned acceptors = 3;

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr) {
        ++count;
    }
    ::closedir(folder);
    return count;
}

// Small rings, so that operations wait for room and for buffers.
config settings_for(std::uint64_t seed, io_backend backend, watchdog& watch) {
    dice roll(mixed(seed));
    config c;
    c.workers = static_cast<unsigned>(roll.between(2, 4));
    c.stall_threshold = 200us + roll.up_to(800us);
    c.spin = roll.one_in(2) ? 50us : 0us;
    c.event_interval = roll.one_in(3) ? 61 : static_cast<unsigned>(roll.between(1, 10));
    c.seed = roll.next();
    c.io.backend = backend;
    c.io.ring_entries = 8;
    c.io.cq_entries = roll.one_in(2) ? 16 : 64;
    c.io.buffer_ring = {.size = std::size_t{256} << roll.between(0, 3), .count = 8};
    c.hooks.on_stall = [](event_info const&) {};  // counted anyway
    c.hooks.on_unhandled = [&watch](event_info const& info) {
        watch.fail(fmt::format("an error nobody expected: {} ({})", describe(info.error), info.context));
    };
    c.hooks.on_suppressed = c.hooks.on_unhandled;
    return c;
}

task<> accept_all(world& w, io::tcp_listener const& from, std::uint64_t number) {
    actor me(w.watch, "acceptor", number, mixed(w.seed + number));
    for (;;) {
        w.work.compute(me.roll);
        try {
            waiting wait(me, "a connection to accept");
            duration const limit = me.roll.one_in(2) ? duration(me.roll.up_to(2ms)) : duration(5s);
            auto made = co_await timeout(limit, from.accept());
            wait.over();
            if (!made) {
                if (w.stopping && made.error() == std::errc::invalid_argument) {
                    co_return;
                }
                w.watch.fail("cannot accept: " + made.error().message());
            }
            w.count(tally_of::accepted);
            w.detached.fetch_add(1);
            spawn_detached(server_session(w, std::move(*made)));
        } catch (timeout_error const&) {
            w.count(tally_of::timed_out);
        }
    }
}

task<> link(world& w, io::endpoint where, bool unix, std::uint64_t number) {
    actor me(w.watch, unix ? "unix link" : "tcp link", number, mixed(w.seed ^ mixed(number)));
    while (!w.stopping) {
        co_await client_session(w, where, unix, me);
        me.at.fetch_add(1);
    }
}

// Pinned: nobody may run it in its worker's stead. And no timer may be early.
task<> tick(world& w, std::uint64_t number) {
    actor me(w.watch, "ticker", number, mixed(w.seed + number));
    unsigned const home = this_task::worker();
    while (!w.stopping) {
        auto const due = now() + me.roll.up_to(3ms);
        waiting wait(me, "a point in time");
        co_await sleep_until(due);
        wait.over();
        if (now() < due) {
            w.watch.fail("a timer fired too early");
        }
        if (this_task::worker() != home) {
            w.watch.fail("a pinned task has moved");
        }
        w.work.compute(me.roll);
        me.at.fetch_add(1);
    }
}

task<> make_storms(world& w) {
    actor me(w.watch, "storms", 0, mixed(w.seed + 99));
    while (!w.stopping) {
        waiting wait(me, "the next storm");
        co_await sleep(20ms + me.roll.up_to(400ms));
        wait.over();
        w.work.begin_storm(15ms + me.roll.up_to(15ms));
    }
}

task<> round(world& w, duration length) {
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    io::endpoint const where = listener.local_endpoint().value();
    std::vector<join_handle<>> servers;
    std::vector<join_handle<>> clients;
    for (unsigned i = 0; i < acceptors; ++i) {
        servers.push_back(spawn(accept_all(w, listener, i)));
    }
    for (unsigned i = 0; i < tcp_links + unix_links; ++i) {
        clients.push_back(spawn(link(w, where, i >= tcp_links, i)));
    }
    for (unsigned i = 0; i < 4; ++i) {
        clients.push_back(spawn(tick(w, i), {.pinned = true}));
    }
    clients.push_back(spawn(make_storms(w)));
    co_await sleep(length);
    w.stopping = true;
    co_await gather(std::move(clients));
    if (!listener.shutdown()) {
        w.watch.fail("cannot shut the listener down");
    }
    co_await gather(std::move(servers));
    while (w.detached != 0) {
        co_await sleep(1ms);
    }
}

// A thread that is no worker asks for things, too.
void ask_from_outside(runtime& rt, world& w) {
    dice roll(mixed(w.seed + 77));
    auto const small = [](world& all, std::uint64_t seed) -> task<int> {
        actor me(all.watch, "asked for from outside", all.number(), seed);
        all.work.compute(me.roll);
        waiting wait(me, "a moment");
        co_await sleep(me.roll.up_to(500us));
        co_return 1;
    };
    while (!w.stopping) {
        auto h = rt.spawn(small(w, roll.next()));
        if (roll.one_in(3)) {
            h.cancel();
        }
        h.blocking_wait();
        if (!h.cancelled() && h.result().value() != 1) {
            w.watch.fail("a task gave another value");
        }
    }
}

void add(totals& sum, world const& w, metrics const& seen, unsigned workers) {
    for (std::size_t i = 0; i < sum.tallies.size(); ++i) {
        sum.tallies[i] += w.tallies[i].load();
    }
    worker_metrics const all = seen.totals();
    sum.rounds += 1;
    sum.storms += w.work.storms();
    sum.rescues += all.rescues;
    sum.completions += all.completions;
    sum.completions_taken_over += all.completions_taken_over;
    sum.timers_taken_over += all.timers_taken_over;
    sum.tasks_stolen += all.tasks_stolen;
    sum.stalls += seen.stalls;
    if (seen.workers.size() > workers) {
        sum.lent_in += 1;
        sum.tasks_of_spare += seen.workers.back().tasks_resumed;
    }
}

}  // namespace

void run_round(watchdog& watch, std::uint64_t seed, io_backend backend, std::chrono::milliseconds length, totals& sum) {
    config const settings = settings_for(seed, backend, watch);
    std::printf("round %llu: seed %llu, %u workers, a stall is %lld us, %u entries, buffers of %zu\n",
                static_cast<unsigned long long>(sum.rounds), static_cast<unsigned long long>(seed), settings.workers,
                static_cast<long long>(std::chrono::microseconds(settings.stall_threshold / 1us).count()),
                settings.io.cq_entries, settings.io.buffer_ring.size);
    std::fflush(stdout);
    std::size_t const before = open_descriptors();
    {
        runtime rt(settings);
        watch.set_runtime(&rt);
        world w(watch, settings.workers, seed);
        std::thread foreigner([&] { ask_from_outside(rt, w); });
        rt.block_on(round(w, length));
        foreigner.join();
        metrics const seen = rt.snapshot();
        if (!rt.shutdown(1min)) {
            watch.fail("tasks are left");
        }
        watch.set_runtime(nullptr);
        add(sum, w, seen, settings.workers);
    }
    if (open_descriptors() != before) {
        watch.fail("a descriptor was left open");
    }
}

}  // namespace magpie::tests
