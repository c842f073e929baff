// Many requests, few at a time: retries, a time limit for each, and errors as values.

#include <magpie/magpie.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <stdexcept>

using namespace magpie;
using namespace std::chrono_literals;

constexpr int requests = 10'000;

std::atomic<int> in_flight = 0;
std::atomic<int> most_in_flight = 0;
std::atomic<int> attempts = 0;

// Stands for a request to a server: takes a while, fails the first time for some, and never ends for a few.
task<int> request(int id) {
    static std::atomic<bool> failed_once[requests];
    ++attempts;
    int const now_in_flight = ++in_flight;
    for (int seen = most_in_flight; seen < now_in_flight && !most_in_flight.compare_exchange_weak(seen, now_in_flight);) {
    }
    try {
        co_await sleep(id % 1000 == 999 ? 1h : duration(1ms));
    } catch (task_cancelled const&) {
        --in_flight;
        throw;
    }
    --in_flight;
    if (id % 10 == 0 && !failed_once[id].exchange(true)) {
        throw std::runtime_error("connection reset");
    }
    co_return id * 2;
}

void show(progress const& p) {
    if (p.done % 2000 == 0) {
        std::printf("%zu of %zu done, %zu failed\n", p.done, p.total.value_or(0), p.failed);
    }
}

task<int> amain() {
    // The inputs are a range, and may be lazy: an input is taken when there is a place for it.
    auto const outcomes = co_await batch(settled, std::views::iota(0, requests), request,
                                         {.limit = 64,
                                          .retry = {.attempts = 3, .backoff = 2ms},
                                          .per_item_timeout = 50ms})
                              .on_progress(show);
    int good = 0;
    int failed = 0;
    for (outcome<int> const& each : outcomes) {
        each.has_value() ? ++good : ++failed;
    }
    std::printf("%d good, %d failed, %d attempts, at most %d at once\n", good, failed, attempts.load(),
                most_in_flight.load());
    // 10 never answer, and are tried 3 times; 1000 others fail once.
    bool const expected = good == requests - 10 && failed == 10 && attempts == requests + 1000 + 20;
    co_return expected && most_in_flight <= 64 ? 0 : 1;
}

int main() {
    config c;
    c.clock = clock_kind::simulated;  // the hours and the back-off pass at once
    return run(amain(), c);
}
