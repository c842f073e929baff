// oneTBB: tasks that are functions and wait on the stack of a worker. There is no mutex, channel or socket for which a
// task waits without its worker, so those rows are missing.

#include "../work.hpp"

#include <memory>
#include <numeric>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

namespace {

namespace tbb = oneapi::tbb;
using peers::measurement;

long fib(int n) {
    if (n < 2) {
        return n;
    }
    long a = 0;
    long b = 0;
    tbb::parallel_invoke([&] { a = fib(n - 1); }, [&] { b = fib(n - 2); });
    return a + b;
}

long skynet(long first, long leaves) {
    if (leaves == 1) {
        return first;
    }
    long const part = leaves / 10;
    std::array<long, 10> sums;
    tbb::task_group group;
    for (int i = 0; i < 9; ++i) {
        group.run([&sums, first, part, i] { sums[static_cast<std::size_t>(i)] = skynet(first + i * part, part); });
    }
    group.run_and_wait([&] { sums[9] = skynet(first + 9 * part, part); });
    return std::accumulate(sums.begin(), sums.end(), 0L);
}

long queens(peers::placement placed, int columns) {
    if (columns == peers::board) {
        return 1;
    }
    std::array<long, peers::board> found{};
    tbb::task_group group;
    for (int row = 0; row < peers::board; ++row) {
        if (peers::safe(placed, columns, row)) {
            placed[static_cast<std::size_t>(columns)] = static_cast<signed char>(row);
            group.run(
                [&found, placed, columns, row] { found[static_cast<std::size_t>(row)] = queens(placed, columns + 1); });
        }
    }
    group.wait();
    return std::accumulate(found.begin(), found.end(), 0L);
}

// A task for each index; the range is divided on the way.
long flat(long count) {
    tbb::parallel_for(
        tbb::blocked_range<long>(0, count, 1), [](tbb::blocked_range<long> const&) {}, tbb::simple_partitioner());
    return count;
}

// There is no handle for each.
long spawn_all_then_join(long count) {
    tbb::task_group group;
    for (long i = 0; i < count; ++i) {
        group.run([] {});
    }
    group.wait();
    return count;
}

// Workers beside the calling thread, which is one of them.
template <class F>
void run_in_arena(measurement& m, double ops, F f, long expected) {
    tbb::global_control const threads(tbb::global_control::max_allowed_parallelism, m.workers());
    tbb::task_arena arena(static_cast<int>(m.workers()));
    m.run(ops, [&] { return arena.execute(f); }, expected);
}

void run_fib(measurement& m) {
    run_in_arena(m, peers::fib_tasks, [] { return fib(peers::fib_of); }, peers::fib_value);
}

void run_skynet(measurement& m) {
    run_in_arena(m, peers::skynet_tasks, [] { return skynet(0, peers::skynet_leaves); }, peers::skynet_value);
}

void run_queens(measurement& m) {
    run_in_arena(m, peers::queens_tasks, [] { return queens({}, 0); }, peers::queens_value);
}

void run_flat(measurement& m) {
    run_in_arena(m, peers::million, [] { return flat(peers::million); }, peers::million);
}

void run_spawn(measurement& m) {
    run_in_arena(m, peers::million, [] { return spawn_all_then_join(peers::million); }, peers::million);
}

// --- from outside: the calling thread is none of the workers ---

class outside {
public:
    explicit outside(measurement const& m)
        : threads_(tbb::global_control::max_allowed_parallelism, m.workers() + 1),
          arena_(static_cast<int>(m.workers()), 0) {}

    template <class F>
    void submit(F f) {
        arena_.enqueue(f);
    }
    template <class F>
    void submit_and_wait(F f) {
        peers::signal done;
        arena_.enqueue([&] {
            f();
            done.set();
        });
        done.wait();
    }

private:
    tbb::global_control threads_;
    tbb::task_arena arena_;
};

void run_wakeup(measurement& m) {
    outside arena(m);
    peers::measure_wake_ups(m, [&] { arena.submit_and_wait([] {}); });
}

void run_hog(measurement& m) {
    outside arena(m);
    peers::signal ended;
    auto const begin = [&](auto over) {
        arena.submit([&ended, over] {
            while (!over()) {
                tbb::parallel_invoke([] {}, [] {});
            }
            ended.set();
        });
    };
    peers::measure_behind_hog(m, begin, [&](auto f) { arena.submit(f); }, [&] { ended.wait(); });
}

void run_idle(measurement& m) {
    outside arena(m);
    arena.submit_and_wait([] {});
    peers::measure_idle(m);
}

void run_busy(measurement& m) {
    outside arena(m);
    arena.submit_and_wait([] {});
    m.timed(1, [&] { arena.submit_and_wait(peers::compute_two_seconds); });
}

constexpr peers::row rows[] = {
    {"fib34", run_fib},   {"skynet10m", run_skynet}, {"queens12", run_queens},
    {"flat1m", run_flat}, {"spawn1m", run_spawn},    {"wakeup", run_wakeup},
    {"hog", run_hog},     {"idle", run_idle},        {"busy", run_busy},
};

}  // namespace

int main(int argc, char** argv) {
    return peers::main_of_twin(argc, argv, rows);
}
