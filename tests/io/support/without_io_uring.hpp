#pragma once

// Runs a function in a child process in which a seccomp filter answers io_uring_setup with an error of choice: what a
// container does.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace magpie::tests {

struct child_report {
    int status = -1;     // what the function returned
    std::string output;  // what it wrote to stdout and stderr
};

inline bool refuse_io_uring_with(int error) {
    std::array<sock_filter, 4> program = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    sock_fprog filter{.len = program.size(), .filter = program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// The function returns the child's exit status, 0 to 100. Call it only while the process has one thread.
template <class Function>
child_report run_without_io_uring(int error, Function function) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    std::cout.flush();  // else the child would write it, too
    std::fflush(nullptr);
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        int status = 101;
        if (refuse_io_uring_with(error)) {
            try {
                status = function();
            } catch (...) {
                status = 102;
            }
        }
        std::fflush(nullptr);
        ::_exit(status);
    }
    ::close(ends[1]);
    child_report report;
    char part[512];
    for (;;) {
        ssize_t const count = ::read(ends[0], part, sizeof part);
        if (count <= 0) {
            break;
        }
        report.output.append(part, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    report.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return report;
}

}  // namespace magpie::tests
