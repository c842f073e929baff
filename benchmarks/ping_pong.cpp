// What does it cost two tasks to hand a token to and fro, through two queues or two events: with one worker (same),
// with two that may share the tasks as they like (free), with each task pinned to a worker of its own (apart)?
// Yardstick: two threads that wait for each other at an atomic (threads).

#include "support/counters.hpp"
#include "support/runtimes.hpp"

#include <magpie/combinators/event.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <thread>

namespace {

using namespace magpie;

constexpr long rounds = 20'000;

// One end of a pair of queues.
class by_queue {
public:
    by_queue(queue<int>& out, queue<int>& in) : out_(&out), in_(&in) {}
    task<> begin(long count) {
        for (long i = 0; i < count; ++i) {
            co_await out_->put(1);
            co_await in_->get();
        }
    }
    task<> answer(long count) {
        for (long i = 0; i < count; ++i) {
            int const token = co_await in_->get();
            co_await out_->put(token);
        }
    }

private:
    queue<int>* out_;
    queue<int>* in_;
};

// One end of a pair of events.
class by_event {
public:
    by_event(event& out, event& in) : out_(&out), in_(&in) {}
    task<> begin(long count) {
        for (long i = 0; i < count; ++i) {
            out_->set();
            co_await in_->wait();
            in_->clear();
        }
    }
    task<> answer(long count) {
        for (long i = 0; i < count; ++i) {
            co_await in_->wait();
            in_->clear();
            out_->set();
        }
    }

private:
    event* out_;
    event* in_;
};

enum class place : unsigned char { anywhere, apart };

// A foreign thread's spawns go round the workers, so that two pinned tasks in a row get different ones.
template <class End, class Channel>
void play(benchmark::State& state, unsigned workers, place where) {
    runtime rt(bench::with_workers(workers));
    Channel there;
    Channel back;
    End ours(there, back);
    End theirs(back, there);
    spawn_options const options{.pinned = where == place::apart};
    for (auto _ : state) {
        auto const answering = rt.spawn(theirs.answer(rounds), options);
        auto const beginning = rt.spawn(ours.begin(rounds), options);
        answering.blocking_wait();
        beginning.blocking_wait();
    }
    bench::count(state, "round", rounds);
}

void queues_same(benchmark::State& state) {
    play<by_queue, queue<int>>(state, 1, place::anywhere);
}
BENCHMARK(queues_same)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void queues_free(benchmark::State& state) {
    play<by_queue, queue<int>>(state, 2, place::anywhere);
}
BENCHMARK(queues_free)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void queues_apart(benchmark::State& state) {
    play<by_queue, queue<int>>(state, 2, place::apart);
}
BENCHMARK(queues_apart)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void events_same(benchmark::State& state) {
    play<by_event, event>(state, 1, place::anywhere);
}
BENCHMARK(events_same)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void events_free(benchmark::State& state) {
    play<by_event, event>(state, 2, place::anywhere);
}
BENCHMARK(events_free)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void events_apart(benchmark::State& state) {
    play<by_event, event>(state, 2, place::apart);
}
BENCHMARK(events_apart)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

void threads(benchmark::State& state) {
    for (auto _ : state) {
        std::atomic<bool> theirs = false;
        std::jthread const other([&] {
            for (long i = 0; i < rounds; ++i) {
                theirs.wait(false);
                theirs.store(false);
                theirs.notify_one();
            }
        });
        for (long i = 0; i < rounds; ++i) {
            theirs.store(true);
            theirs.notify_one();
            theirs.wait(true);
        }
    }
    bench::count(state, "round", rounds);
}
BENCHMARK(threads)->Apply(bench::whole_process)->Unit(benchmark::kMillisecond);

}  // namespace
