// The first of several to end: a loop that takes jobs until it is told to stop, or nothing has come for a while.

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace magpie;
using namespace std::chrono_literals;

task<> offer(queue<int>& jobs, event& stop) {
    for (int job = 0; job < 5; ++job) {
        co_await sleep(10ms);
        co_await jobs.put(job);
    }
    stop.set();
    co_await jobs.put(5);  // at the same moment as the stop
}

// Sums up jobs until the stop, or until nobody has offered one for `patience`.
task<std::string> consume(queue<int>& jobs, event& stop, duration patience) {
    int sum = 0;
    for (;;) {
        // All three are begun; when one has ended the others are cancelled, and have ended before this goes on.
        auto first = co_await select(stop.wait(), jobs.get(), sleep(patience));
        if (first.index == 1) {
            sum += std::get<1>(first.value);
            continue;
        }
        // The stop, or the time, came first. A job that had been handed over by then is late, and not lost.
        if (auto& job = first.late<1>()) {
            sum += *job;
        }
        co_return (first.index == 0 ? "stopped, sum " : "out of patience, sum ") + std::to_string(sum);
    }
}

// A job that nobody took is still in the queue.
task<int> left(queue<int>& jobs) {
    int count = 0;
    while (jobs.try_get()) {
        ++count;
    }
    co_return count;
}

task<int> amain() {
    queue<int> jobs;
    event stop;
    auto [patient, nothing] = co_await gather(consume(jobs, stop, 1s), offer(jobs, stop));
    int const after_stop = co_await left(jobs);
    std::printf("%s, %d left in the queue\n", patient.c_str(), after_stop);

    stop.clear();
    auto const hasty = co_await consume(jobs, stop, 5ms);
    std::printf("%s\n", hasty.c_str());

    int const sum = std::stoi(patient.substr(patient.rfind(' ')));
    bool const none_lost = sum == 10 + (after_stop == 0 ? 5 : 0);
    co_return none_lost&& hasty == "out of patience, sum 0" ? 0 : 1;
}

int main() {
    config c;
    c.clock = clock_kind::simulated;
    return run(amain(), c);
}
