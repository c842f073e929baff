#include "cpu_burner.hpp"

#include <cstdint>

#include <time.h>

namespace magpie::tools {

namespace {

std::chrono::nanoseconds cpu_time_of_thread() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

void burn_cpu(std::chrono::nanoseconds amount) {
    // Asking for the time is a system call: a few microseconds of arithmetic lie between two questions.
    constexpr int rounds = 2000;
    auto const end = cpu_time_of_thread() + amount;
    std::uint64_t state = 88172645463325252;
    while (cpu_time_of_thread() < end) {
        for (int i = 0; i < rounds; ++i) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        asm volatile("" : "+r"(state));  // the compiler must not see that nobody needs it
    }
}

}  // namespace magpie::tools
