// magpie, as a user gets it: everything but the number of workers is the default.

#include "../work.hpp"

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <numeric>
#include <ranges>
#include <tuple>

namespace {

using namespace magpie;
using peers::measurement;

config settings(measurement const& m) {
    config result;
    result.workers = m.workers();
    return result;
}

// --- forks and joins ---

task<long> fib(int n) {
    if (n < 2) {
        co_return n;
    }
    auto const [a, b] = co_await gather(fib(n - 1), fib(n - 2));
    co_return a + b;
}

task<long> skynet(long first, long leaves);

template <std::size_t... I>
auto ten_branches(long first, long leaves, std::index_sequence<I...>) {
    return gather(skynet(first + static_cast<long>(I) * leaves, leaves)...);
}

task<long> skynet(long first, long leaves) {
    if (leaves == 1) {
        co_return first;
    }
    auto const sums = co_await ten_branches(first, leaves / 10, std::make_index_sequence<10>());
    co_return std::apply([](auto... each) { return (each + ...); }, sums);
}

task<long> queens(peers::placement placed, int columns) {
    if (columns == peers::board) {
        co_return 1;
    }
    auto const fits = [&placed, columns](int row) { return peers::safe(placed, columns, row); };
    auto const place = [&placed, columns](int row) {
        placed[static_cast<std::size_t>(columns)] = static_cast<signed char>(row);
        return queens(placed, columns + 1);
    };
    auto const found =
        co_await gather(std::views::iota(0, peers::board) | std::views::filter(fits) | std::views::transform(place));
    co_return std::accumulate(found.begin(), found.end(), 0L);
}

task<> nothing() {
    co_return;
}

task<long> flat(long count) {
    co_await gather(std::views::iota(0L, count) | std::views::transform([](long) { return nothing(); }));
    co_return count;
}

task<long> spawn_all_then_join(long count) {
    std::vector<join_handle<void>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
        handles.push_back(spawn(nothing()));
    }
    for (auto& each : handles) {
        co_await each;
    }
    co_return count;
}

void run_fib(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::fib_tasks, [&] { return rt.block_on(fib(peers::fib_of)); }, peers::fib_value);
}

void run_skynet(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::skynet_tasks, [&] { return rt.block_on(skynet(0, peers::skynet_leaves)); }, peers::skynet_value);
}

void run_queens(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::queens_tasks, [&] { return rt.block_on(queens({}, 0)); }, peers::queens_value);
}

void run_flat(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::million, [&] { return rt.block_on(flat(peers::million)); }, peers::million);
}

void run_spawn(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::million, [&] { return rt.block_on(spawn_all_then_join(peers::million)); }, peers::million);
}

// --- taking turns ---

// So many tasks at once that do the same.
template <class Make>
task<> all(long count, Make make) {
    auto const start = [&make](long) { return make(); };
    co_await gather(std::views::iota(0L, count) | std::views::transform(start));
}

task<> yield_often(long count) {
    for (long i = 0; i < count; ++i) {
        co_await this_task::yield();
    }
}

task<> take_turns(mutex& guarding, long& guarded, long count) {
    for (long i = 0; i < count; ++i) {
        auto const guard = co_await guarding.lock();
        ++guarded;
    }
}

task<> pass_often(semaphore& gate, long count) {
    for (long i = 0; i < count; ++i) {
        auto const permit = co_await gate.acquire();
    }
}

void run_yield(measurement& m) {
    runtime rt(settings(m));
    auto const one = [] { return yield_often(peers::million / peers::yielding_tasks); };
    m.run(peers::million, [&] { return rt.block_on(all(peers::yielding_tasks, one)), true; }, true);
}

void run_mutex(measurement& m) {
    runtime rt(settings(m));
    mutex guarding;
    long guarded = 0;
    auto const one = [&] { return take_turns(guarding, guarded, peers::million / peers::competing_tasks); };
    auto const run = [&] {
        guarded = 0;
        rt.block_on(all(peers::competing_tasks, one));
        return guarded;
    };
    m.run(peers::million, run, peers::million);
}

void run_semaphore(measurement& m) {
    runtime rt(settings(m));
    semaphore gate(peers::permits);
    auto const one = [&] { return pass_often(gate, peers::million / peers::competing_tasks); };
    m.run(peers::million, [&] { return rt.block_on(all(peers::competing_tasks, one)), true; }, true);
}

// --- channel ---

task<> produce(queue<long>& to, long count) {
    for (long i = 0; i < count; ++i) {
        co_await to.put(1);
    }
}

task<long> consume(queue<long>& from, long count) {
    long sum = 0;
    for (long i = 0; i < count; ++i) {
        sum += co_await from.get();
    }
    co_return sum;
}

task<long> pass_all(long count) {
    queue<long> between(peers::channel_capacity);
    auto const [none, sum] = co_await gather(produce(between, count), consume(between, count));
    co_return sum;
}

void run_channel(measurement& m) {
    runtime rt(settings(m));
    m.run(peers::channel_items, [&] { return rt.block_on(pass_all(peers::channel_items)); }, peers::channel_items);
}

// --- TCP ---

using message = std::array<std::byte, peers::message_size>;

task<> answer(io::tcp_stream client) {
    message buffer;
    for (;;) {
        auto const got = co_await client.read(buffer);
        if (!got || *got == 0 || !co_await io::write_all(client, std::span(buffer).first(*got))) {
            co_return;
        }
    }
}

task<> answer_all(io::tcp_listener& listener, long clients) {
    for (long i = 0; i < clients; ++i) {
        spawn_detached(answer(std::move((co_await listener.accept()).value())));
    }
}

task<> ask(io::endpoint server, long count, long& answers) {
    auto stream = std::move((co_await io::tcp_stream::connect(server)).value());
    message buffer{};
    for (long i = 0; i < count; ++i) {
        (co_await io::write_all(stream, buffer)).value();
        (co_await io::read_exactly(stream, buffer)).value();
        ++answers;
    }
}

// The connections are made within the measured time.
task<long> talk(long clients, long count) {
    auto listener = io::tcp_listener::bind(io::endpoint::loopback_v4(0)).value();
    auto const server = listener.local_endpoint().value();
    std::vector<long> answers(static_cast<std::size_t>(clients));
    auto const client = [&](long which) {
        return ask(server, count / clients, answers[static_cast<std::size_t>(which)]);
    };
    co_await gather(answer_all(listener, clients),
                    gather(std::views::iota(0L, clients) | std::views::transform(client)));
    co_return std::accumulate(answers.begin(), answers.end(), 0L);
}

void run_tcp(measurement& m) {
    runtime rt(settings(m));
    m.run(
        peers::round_trips, [&] { return rt.block_on(talk(peers::connections, peers::round_trips)); },
        peers::round_trips);
}

// --- from outside ---

void run_wakeup(measurement& m) {
    runtime rt(settings(m));
    peers::measure_wake_ups(m, [&] { rt.block_on(nothing()); });
}

template <class Over>
task<> fork_until(Over over) {
    while (!over()) {
        co_await gather(nothing(), nothing());
    }
}

template <class F>
task<> call(F f) {
    f();
    co_return;
}

void run_hog(measurement& m) {
    runtime rt(settings(m));
    join_handle<void> hog;
    peers::measure_behind_hog(
        m, [&](auto over) { hog = rt.spawn(fork_until(over)); }, [&](auto f) { rt.spawn(call(f)).detach(); },
        [&] { hog.blocking_wait(); });
}

void run_idle(measurement& m) {
    runtime rt(settings(m));
    rt.block_on(nothing());
    peers::measure_idle(m);
}

void run_busy(measurement& m) {
    runtime rt(settings(m));
    rt.block_on(nothing());
    m.timed(1, [&] { rt.block_on(call(peers::compute_two_seconds)); });
}

constexpr peers::row rows[] = {
    {"fib34", run_fib},          {"skynet10m", run_skynet}, {"queens12", run_queens}, {"flat1m", run_flat},
    {"spawn1m", run_spawn},      {"yield1m", run_yield},    {"mutex1m", run_mutex},   {"semaphore1m", run_semaphore},
    {"channel10m", run_channel}, {"tcp100k", run_tcp},      {"wakeup", run_wakeup},   {"hog", run_hog},
    {"idle", run_idle},          {"busy", run_busy},
};

}  // namespace

int main(int argc, char** argv) {
    return peers::main_of_twin(argc, argv, rows);
}
