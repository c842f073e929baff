#pragma once

// The rows' work: sizes and results, the same for all twins, and what foreign threads do.

#include "twin.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

namespace peers {

// fib34: each call of fib is a task where that is cheap, every second one where it is not.
inline constexpr int fib_of = 34;
inline constexpr long fib_value = 5'702'887;
inline constexpr double fib_tasks = 18'454'929;

// skynet: a tree of ten branches, whose leaves are numbered and summed up.
inline constexpr long skynet_leaves = 10'000'000;
inline constexpr long skynet_value = skynet_leaves * (skynet_leaves - 1) / 2;
inline constexpr double skynet_tasks = 11'111'111;

// queens: a task for each square of the next column that no queen attacks.
inline constexpr int board = 12;
inline constexpr long queens_value = 14'200;
inline constexpr double queens_tasks = 856'189;
using placement = std::array<signed char, board>;

inline bool safe(placement const& placed, int columns, int row) {
    for (int column = 0; column < columns; ++column) {
        int const other = placed[static_cast<std::size_t>(column)];
        int const distance = columns - column;
        if (other == row || other == row - distance || other == row + distance) {
            return false;
        }
    }
    return true;
}

inline constexpr long million = 1'000'000;  // flat, spawn, yield, mutex, semaphore
inline constexpr long yielding_tasks = 2;
inline constexpr long competing_tasks = 100;  // mutex, semaphore
inline constexpr long permits = 4;
inline constexpr long channel_items = 10'000'000;
inline constexpr std::size_t channel_capacity = 1024;
inline constexpr long connections = 20;
inline constexpr long round_trips = 100'000;  // over all connections
inline constexpr std::size_t message_size = 64;

// Happens once; a thread waits for it. An int: what std::atomic waits for without a detour.
class signal {
public:
    void set() {
        happened_.store(1);
        happened_.notify_one();
    }
    void wait() const { happened_.wait(0); }

private:
    std::atomic<int> happened_ = 0;
};

// wakeup: exchange() has something empty run in the runtime and waits for it, 5000 times, with pauses in which the
// workers fall asleep.
template <class F>
void measure_wake_ups(measurement& m, F exchange) {
    constexpr int times = 5000;
    constexpr auto pause = std::chrono::microseconds(200);
    std::vector<double> waits;
    auto const once = [&] {
        std::this_thread::sleep_for(pause);
        auto const begun = clock::now();
        exchange();
        waits.push_back(std::chrono::duration<double, std::micro>(clock::now() - begun).count());
    };
    for (int i = 0; i < times / 10; ++i) {
        once();
    }
    waits.clear();
    m.timed(times, [&] {
        for (int i = 0; i < times; ++i) {
            once();
        }
    });
    m.latencies(std::move(waits));
}

// hog: while a task forks and joins without end, a foreign thread submits another task every 5 ms: how long until it
// runs? fork(over) is to begin the hog, which ends once over() is true; submit(f) to have f() run; join() to wait for
// the hog's end.
template <class Fork, class Submit, class Join>
void measure_behind_hog(measurement& m, Fork fork, Submit submit, Join join) {
    constexpr auto lasts = std::chrono::seconds(1);
    constexpr auto pause = std::chrono::milliseconds(5);
    std::vector<double> waits;
    m.timed(1, [&] {
        auto const end = clock::now() + lasts;
        fork([end] { return clock::now() >= end; });
        std::this_thread::sleep_for(lasts / 10);
        while (clock::now() + 2 * pause < end) {
            signal ran;
            clock::time_point when;
            auto const submitted = clock::now();
            submit([&] {
                when = clock::now();
                ran.set();
            });
            ran.wait();
            waits.push_back(std::chrono::duration<double, std::micro>(when - submitted).count());
            std::this_thread::sleep_for(pause);
        }
        join();
    });
    m.latencies(std::move(waits));
}

// idle: the runtime is there and has nothing to do.
inline void measure_idle(measurement& m) {
    m.timed(1, [] { std::this_thread::sleep_for(std::chrono::seconds(2)); });
}

// busy: what its only task does.
inline void compute_two_seconds() {
    auto const end = clock::now() + std::chrono::seconds(2);
    while (clock::now() < end) {}
}

}  // namespace peers
