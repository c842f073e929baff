// A bounded queue between producers and consumers; the group joins them all.

#include <magpie/magpie.hpp>

#include <atomic>
#include <cstdio>

using namespace magpie;

constexpr int producers = 4;
constexpr int consumers = 3;
constexpr int items_each = 10'000;

task<> produce(queue<int>& to, int first) {
    for (int i = 0; i < items_each; ++i) {
        co_await to.put(first + i);  // waits while the queue is full
    }
}

task<> consume(queue<int>& from, std::atomic<long>& sum) {
    while (auto item = co_await from.next()) {  // no item any more: the queue is closed and empty
        sum += *item;
    }
}

// Closes the queue when every producer has ended; the consumers then take what is left and end too.
task<> produce_all(queue<int>& to) {
    co_await with_task_group([&](task_group& group) {
        for (int p = 0; p < producers; ++p) {
            group.spawn(produce(to, p * items_each));
        }
    });
    to.close();
}

task<int> amain() {
    queue<int> items(64);
    std::atomic<long> sum = 0;
    co_await with_task_group([&](task_group& group) {
        group.spawn(produce_all(items));
        for (int c = 0; c < consumers; ++c) {
            group.spawn(consume(items, sum));
        }
    });
    long const n = long{producers} * items_each;
    std::printf("%ld items, sum %ld\n", n, sum.load());
    co_return sum == n * (n - 1) / 2 ? 0 : 1;
}

int main() {
    return run(amain());
}
