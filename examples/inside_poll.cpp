// A runtime without threads of its own, inside a loop that somebody else owns: here poll(2).

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>

#include <poll.h>

using namespace magpie;
using namespace std::chrono_literals;

task<int> count_down(int from) {
    for (int left = from; left > 0; --left) {
        co_await sleep(5ms);
    }
    co_return from;
}

int main() {
    config c;
    c.drive = external;
    runtime rt(c);
    auto counted = rt.spawn(count_down(5));

    int rounds = 0;
    while (!counted.done()) {
        // Readable when there is work or a timer is due. A real loop has descriptors of its own beside it.
        pollfd ready{.fd = rt.driver_fd(), .events = POLLIN, .revents = 0};
        ::poll(&ready, 1, -1);
        rt.run_ready();  // never sleeps
        ++rounds;
    }
    std::printf("counted to %d in %d rounds\n", counted.result().value(), rounds);
    return counted.result().value() == 5 ? 0 : 1;
}
