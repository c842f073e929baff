// Deadlines: around one await, around a block, and one that moves.

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace magpie;
using namespace std::chrono_literals;

task<std::string> answer_after(duration how_long) {
    co_await sleep(how_long);
    co_return "the answer";
}

// Cut off at the deadline: answer_after() is cancelled, and has ended, before timeout_error is thrown.
task<std::string> ask(duration patience) {
    try {
        co_return co_await timeout(patience, answer_after(50ms));
    } catch (timeout_error const&) {
        co_return "a default";
    }
}

// The deadline is one of silence: each step moves it.
task<int> steps_until_silence(timeout_scope& scope) {
    int steps = 0;
    for (duration pause : {5ms, 10ms, 20ms, 30ms}) {
        co_await sleep(pause);
        scope.reschedule(now() + 40ms);
        ++steps;
    }
    co_return steps;
}

task<int> amain() {
    auto const patient = co_await ask(10s);
    auto const hasty = co_await ask(10ms);
    std::printf("patient: %s; hasty: %s\n", patient.c_str(), hasty.c_str());

    int const steps = co_await with_timeout(40ms, steps_until_silence);
    std::printf("%d steps, 65 ms in all, with no silence of 40 ms\n", steps);
    co_return patient == "the answer" && hasty == "a default" && steps == 4 ? 0 : 1;
}

int main() {
    // Virtual time: the program waits for nothing, and does the same in every run.
    config c;
    c.clock = clock_kind::simulated;
    return run(amain(), c);
}
