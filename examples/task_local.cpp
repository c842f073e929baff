// A value that belongs to a task, wherever it runs: the id of a request, known to everything that is done for it.

#include <magpie/magpie.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>

using namespace magpie;
using namespace std::chrono_literals;

task_local<std::string> request_id{"none"};

std::atomic<int> wrong = 0;

// Deep down, and told nothing: it knows for whom it works. A thread_local would not do, since a task may go on on
// another thread after any co_await.
void check(std::string const& expected) {
    if (request_id.get() != expected) {
        ++wrong;
    }
}

task<> look_up(std::string expected) {
    check(expected);
    co_await sleep(1ms);
    check(expected);
}

std::string compute(std::string expected) {
    check(expected);  // to_thread's functions can read it too
    return "request " + request_id.get();
}

task<std::string> handle(int number) {
    std::string const id = "r" + std::to_string(number);
    request_id.set(id);
    co_await look_up(id);                       // awaited directly: the same task
    co_await gather(look_up(id), look_up(id));  // children see their parent's values
    auto logged = spawn(look_up(id));           // a spawned task has a snapshot
    request_id.set(id + "/done");               // which this does not change
    co_await std::move(logged);
    co_return co_await to_thread(compute, id + "/done");
}

task<int> amain() {
    auto first = spawn(handle(1));
    auto second = spawn(handle(2));
    auto const a = co_await std::move(first);
    auto const b = co_await std::move(second);
    check("none");  // what other tasks have set is theirs
    std::printf("%s, %s, %d wrong\n", a.c_str(), b.c_str(), wrong.load());
    co_return wrong == 0 && a == "request r1/done" && b == "request r2/done" ? 0 : 1;
}

int main() {
    return run(amain());
}
