// A batch whose results are used as they come, at the consumer's pace, from an input that has no end.

#include <magpie/magpie.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <stdexcept>

using namespace magpie;
using namespace std::chrono_literals;

std::atomic<int> begun = 0;
std::atomic<int> unread = 0;  // begun, and not yet asked for
std::atomic<int> most_unread = 0;

// Stands for a request that gives a record; every tenth one fails.
task<int> load(int id) {
    ++begun;
    most_unread = std::max(most_unread.load(), ++unread);
    co_await sleep(1ms * (1 + id % 7));
    if (id % 10 == 9) {
        throw std::runtime_error("no such record");
    }
    co_return id;
}

struct totals {
    long sum = 0;
    int good = 0;
    int failed = 0;
};

// Takes records until it has a hundred. Leaving ends the batch: what runs is cancelled, what has not begun never begins.
task<totals> take_hundred(batch_results<int>& records) {
    totals all;
    while (auto item = co_await records.next()) {
        --unread;
        try {
            all.sum += item->get();
            ++all.good;
        } catch (std::runtime_error const&) {
            ++all.failed;
        }
        if (all.good == 100) {
            break;
        }
        co_await sleep(5ms);  // slower than the requests: they wait for it, not in memory but un-begun
    }
    co_return all;
}

task<int> amain() {
    // With .on_error = settle a failed item is given like any other, and its get() throws.
    totals const all = co_await batch_stream(std::views::iota(0), load, take_hundred, {.limit = 8, .on_error = settle});
    std::printf("%d good, %d failed, sum %ld; %d begun, at most %d at a time not yet read\n", all.good, all.failed,
                all.sum, begun.load(), most_unread.load());
    bool const bounded = most_unread <= 9 && begun <= all.good + all.failed + 8;
    co_return all.good == 100 && all.failed >= 9 && bounded ? 0 : 1;
}

int main() {
    config c;
    c.clock = clock_kind::simulated;
    return run(amain(), c);
}
