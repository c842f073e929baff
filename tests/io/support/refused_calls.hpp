#pragma once

// Runs test cases of this program once more, in a process in which a seccomp filter refuses a system call: as older
// kernels and containers do.

#include <doctest/doctest.h>

#include <cstddef>
#include <iterator>
#include <optional>
#include <vector>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace magpie::tests {

struct refused_call {
    unsigned number = ~0U;                         // SYS_…
    std::optional<unsigned> second_argument = {};  // only with this one
};

inline bool refuse(refused_call const& call) noexcept {
    unsigned char const skip_argument = call.second_argument ? 0 : 2;
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 4),
        BPF_JUMP(BPF_JMP | BPF_JA, skip_argument, 0, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.second_argument.value_or(0), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const program{.len = std::size(filter), .filter = filter};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// `which` are the test cases, as doctest's options tell them.
inline void check_without(refused_call const& call, std::vector<char const*> which) {
    constexpr int no_filter = 99;
    which.insert(which.begin(), "tests");
    which.push_back(nullptr);
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (refuse(call)) {
            ::execv("/proc/self/exe", const_cast<char**>(which.data()));
        }
        ::_exit(no_filter);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_filter) {
        MESSAGE("no seccomp filter can be set here");
    } else {
        CHECK(WEXITSTATUS(status) == 0);
    }
}

}  // namespace magpie::tests
