#pragma once

// Who used the CPUs meanwhile.

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

#include <sys/types.h>
#include <time.h>
#include <unistd.h>

namespace peers {

// CPU time up to now, and the time itself; in nanoseconds. That of the machine is all that was not idle, from
// /proc/stat: to 10 ms, or better where the kernel counts idleness.
struct cpu_usage {
    std::int64_t time = 0;
    std::int64_t server = 0;
    std::int64_t client = 0;  // this process
    std::int64_t machine = 0;

    static cpu_usage now(pid_t server) {
        clockid_t clock = 0;
        if (::clock_getcpuclockid(server, &clock) != 0) {
            throw std::runtime_error("the server is gone");
        }
        std::int64_t const idle = idle_time();
        std::int64_t const time = read(CLOCK_MONOTONIC);
        return {.time = time,
                .server = read(clock),
                .client = read(CLOCK_PROCESS_CPUTIME_ID),
                .machine = time * ::sysconf(_SC_NPROCESSORS_ONLN) - idle};
    }

private:
    static std::int64_t read(clockid_t clock) {
        timespec used{};
        ::clock_gettime(clock, &used);
        return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
    }

    static std::int64_t idle_time() {
        std::ifstream file("/proc/stat");
        std::string cpu;
        std::int64_t user = 0, nice = 0, system = 0, idle = 0, waiting = 0;
        file >> cpu >> user >> nice >> system >> idle >> waiting;
        return (idle + waiting) * (1'000'000'000 / ::sysconf(_SC_CLK_TCK));
    }
};

inline cpu_usage operator-(cpu_usage const& a, cpu_usage const& b) {
    return {a.time - b.time, a.server - b.server, a.client - b.client, a.machine - b.machine};
}

}  // namespace peers
