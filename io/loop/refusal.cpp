#include <magpie/io/loop/refusal.hpp>

#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include <errno.h>
#include <sys/resource.h>
#include <sys/utsname.h>

namespace magpie::detail {

namespace {

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "unknown";
}

// 0 none, 1 strict, 2 a filter.
int seccomp_mode() noexcept {
    std::FILE* const status = std::fopen("/proc/self/status", "re");
    if (status == nullptr) {
        return -1;
    }
    char line[256];
    int mode = -1;
    while (std::fgets(line, sizeof line, status) != nullptr) {
        if (std::sscanf(line, "Seccomp: %d", &mode) == 1) {
            break;
        }
    }
    std::fclose(status);
    return mode;
}

constexpr char const* seccomp_remedy =
    "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile";

refusal explain_eperm() {
    int const disabled = kernel_setting("/proc/sys/kernel/io_uring_disabled");
    if (disabled == 2) {
        return {"the sysctl kernel.io_uring_disabled is 2, which turns io_uring off", "set it to 0"};
    }
    if (disabled == 1) {
        return {"the sysctl kernel.io_uring_disabled is 1, which allows io_uring to privileged processes only",
                "set it to 0, or add the process to the group of kernel.io_uring_group"};
    }
    if (seccomp_mode() == 2) {
        return {"a seccomp filter forbids it", seccomp_remedy};
    }
    return {"the kernel or a security module forbids it (EPERM)", "look at the system's security policy"};
}

refusal explain_enosys() {
    if (seccomp_mode() == 2) {
        return {"a seccomp filter hides it, or the kernel (" + kernel_release() + ") has no usable io_uring",
                seccomp_remedy};
    }
    return {"the kernel (" + kernel_release() + ") has no usable io_uring",
            "use Linux 5.11 or newer, best 6.1 or newer"};
}

refusal explain_enomem() {
    rlimit limit{};
    std::string text = "there is not enough memory that may be locked";
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        text += " (RLIMIT_MEMLOCK is " + std::to_string(limit.rlim_cur / 1024) + " KiB)";
    }
    return {std::move(text), "raise it with `ulimit -l`, or lower io.ring_entries and io.cq_entries"};
}

}  // namespace

int kernel_setting(char const* path) noexcept {
    std::FILE* const file = std::fopen(path, "re");
    if (file == nullptr) {
        return -1;
    }
    int value = -1;
    if (std::fscanf(file, "%d", &value) != 1) {
        value = -1;
    }
    std::fclose(file);
    return value;
}

refusal explain_refusal(int error) {
    switch (error) {
    case EPERM:
    case EACCES:
        return explain_eperm();
    case ENOSYS:
        return explain_enosys();
    case ENOMEM:
        return explain_enomem();
    case EMFILE:
        return {"the process has too many open files", "raise the limit with `ulimit -n`"};
    case ENFILE:
        return {"the system has too many open files", "raise the sysctl fs.file-max"};
    default:
        return {std::system_category().message(error) + " (errno " + std::to_string(error) + ')',
                "see io_uring_setup(2)"};
    }
}

}  // namespace magpie::detail
