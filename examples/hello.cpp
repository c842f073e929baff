// Two tasks at once, and a value back from each.

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace magpie;
using namespace std::chrono_literals;

// A coroutine that returns task<T> runs nothing until somebody awaits or spawns it.
task<std::string> fetch(std::string what, duration how_long) {
    co_await sleep(how_long);
    co_return what;
}

task<int> amain() {
    // gather() runs both at once, and gives the results in the order of its arguments.
    auto [first, second] = co_await gather(fetch("hello", 20ms), fetch("world", 10ms));
    std::printf("%s, %s from worker %u\n", first.c_str(), second.c_str(), this_task::worker());
    co_return 0;
}

int main() {
    return run(amain());
}
