// Calls that block belong on threads of their own: the workers go on meanwhile.

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace magpie;
using namespace std::chrono_literals;

// An ordinary function. A task that called it would hold up every other task of its worker.
std::string first_line(std::string path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) {
        throw std::runtime_error("cannot read " + path);
    }
    return line;
}

// One that looks at its stop_token ends soon after its task was asked to.
int count_until_stopped(stop_token stop) {
    int rounds = 0;
    while (!stop.stop_requested()) {
        std::this_thread::sleep_for(1ms);
        ++rounds;
    }
    return rounds;
}

task<> amain() {
    auto const line = co_await to_thread(first_line, "/proc/version");
    std::printf("%s\n", line.c_str());

    try {
        co_await to_thread(first_line, "/nowhere");
    } catch (std::runtime_error const& error) {  // what the function throws comes out of the co_await
        std::printf("%s\n", error.what());
    }

    // At the deadline the call is asked to end. It ends with a value, and that counts.
    try {
        int const rounds = co_await timeout(20ms, to_thread(count_until_stopped));
        std::printf("stopped after %d rounds\n", rounds);
    } catch (timeout_error const&) {  // no thread had come to it yet: then it never begins
        std::printf("no thread was free in time\n");
    }
}

int main() {
    run(amain());
}
