#pragma once

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace magpie::bench {

// The line of /proc/self/status that begins with `key` and counts KiB, in bytes.
inline double status_bytes(std::string const& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(key)) {
            return std::stod(line.substr(key.size())) * 1024;
        }
    }
    throw std::runtime_error("/proc/self/status has no line " + key);
}

// Memory of this process that lies in RAM: now, and the most there ever was.
inline double resident_bytes() {
    return status_bytes("VmRSS:");
}
inline double peak_bytes() {
    return status_bytes("VmHWM:");
}

// CPU time that all threads of this process have taken, in seconds.
inline double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    auto const seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Gives what f() gives in a child process: memory that somebody else has left behind does not show there. No runtime
// may be alive here. Throws std::runtime_error if the child did not come to an answer.
template <class F>
auto in_child(F f) {
    using answer = std::invoke_result_t<F>;
    static_assert(std::is_trivially_copyable_v<answer>);
    int ends[2];
    if (pipe(ends) != 0) {
        throw std::system_error(errno, std::generic_category(), "pipe");
    }
    pid_t const child = fork();
    if (child < 0) {
        throw std::system_error(errno, std::generic_category(), "fork");
    }
    if (child == 0) {
        answer const value = f();
        _exit(write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
    }
    close(ends[1]);
    answer value;
    bool const complete = read(ends[0], &value, sizeof value) == sizeof value;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (!complete || status != 0) {
        throw std::runtime_error("the child process failed");
    }
    return value;
}

}  // namespace magpie::bench
