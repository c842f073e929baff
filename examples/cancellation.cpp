// Cancelling: a request is delivered where the task waits, clean-up runs to its end, and what is shielded goes on.

#include <magpie/magpie.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

using namespace magpie;
using namespace std::chrono_literals;

std::string story;

task<> tell(char const* what, duration how_long) {
    co_await sleep(how_long);
    story += what;
}

task<> work() {
    // The clean-up runs on every way out. A request that comes while it runs waits for its end.
    co_await with_cleanup(tell("never ", 1h), tell, "cleaned ", 10ms);
}

task<> careful() {
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {  // not a std::exception: catch it by name, and pass it on
        story += "noticed ";
        throw;
    }
}

task<int> amain() {
    auto worker = spawn(work());
    auto second = spawn(careful());
    auto saved = spawn(tell("saved ", 30ms));
    auto waits = spawn([](join_handle<>& h) -> task<> { co_await shield(h); }, std::ref(saved));

    co_await sleep(1ms);
    worker.cancel();
    second.cancel();
    waits.cancel();  // ends the wait, and not the task that it waits for

    std::array const all_three{worker.ref(), second.ref(), waits.ref()};  // named: see docs/gcc12.md
    co_await wait(all_three);
    bool const all = worker.cancelled() && second.cancelled() && waits.cancelled();
    co_await saved;
    std::printf("%s\n", story.c_str());
    co_return all && story == "noticed cleaned saved " ? 0 : 1;
}

int main() {
    config c;
    c.clock = clock_kind::simulated;
    return run(amain(), c);
}
