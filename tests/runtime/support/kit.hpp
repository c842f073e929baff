#pragma once

// What the tests of the runtime share: configurations, hooks that remember, objects that are counted, and a bounded
// spin for what must become true.

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/hooks.hpp>

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mutex>
#include <source_location>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#define MAGPIE_TESTS_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MAGPIE_TESTS_ASAN 1
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAGPIE_TESTS_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define MAGPIE_TESTS_ASAN 1
#endif
#endif

namespace magpie::tests {

#if defined(MAGPIE_TESTS_TSAN) || defined(MAGPIE_TESTS_ASAN)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// A number of repetitions that a plain build does in a second; sanitizers, and locks that yield on purpose, cost far more.
constexpr unsigned rounds(unsigned plain) {
#if defined(MAGPIE_TESTS_TSAN)
    return (plain + 39) / 40;
#else
    return sanitized ? (plain + 9) / 10 : plain;
#endif
}

inline std::string file_of_thread(pid_t thread, char const* name) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
}
// Of a thread of this process, as in proc(5): R, S (sleeps), t (stopped by a debugger), …; 0 if there is none. Asked of the
// kernel: a variable of that thread's may be locked by ThreadSanitizer, in a thread that does not go on.
inline char state_of_thread(pid_t thread) {
    std::string const line = file_of_thread(thread, "stat");
    auto const name_ends = line.rfind(')');
    return name_ends == std::string::npos || name_ends + 2 >= line.size() ? '\0' : line[name_ends + 2];
}

// The number of the system call in which that thread sleeps; -1 if the kernel does not say.
inline long system_call_of_thread(pid_t thread) {
    return std::strtol((file_of_thread(thread, "syscall") + "-1").c_str(), nullptr, 10);
}

// One worker, virtual time, everything first in, first out (seed != 0: in an order that only the seed decides).
inline config simulated(std::uint64_t seed = 0) {
    config c;
    c.clock = clock_kind::simulated;
    c.seed = seed;
    return c;
}

inline config threads(unsigned workers) {
    config c;
    c.workers = workers;
    return c;
}

// So many moments pass, some hundred nanoseconds each: for what is to meet other threads anywhere on their way. It does not
// give the core away, which beside processes that compute costs a time slice each time.
inline void some_moments(unsigned count) {
    for (unsigned i = 0; i < 8 * count; ++i) {
        detail::cpu_relax();
    }
}

// Spins until something becomes true that nothing but a bug can prevent; soon it naps between looks, so that many threads
// that wait on few cores do not keep those from running for whom they wait. A minute and a half is no measure of speed, but
// the difference between a failed and a hanging test.
template <class Predicate>
void until(Predicate predicate, std::source_location at = std::source_location::current()) {
    auto const limit = std::chrono::steady_clock::now() + std::chrono::seconds{90};
    for (unsigned looks = 0; !predicate(); ++looks) {
        if (looks < 64) {
            some_moments(1);
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds{20});
        }
        if (std::chrono::steady_clock::now() > limit) {
            std::fprintf(stderr, "%s:%u: waited in vain\n", at.file_name(), static_cast<unsigned>(at.line()));
            std::abort();
        }
    }
}

// A hook that remembers what it was told. Any thread.
class event_log {
public:
    struct entry {
        std::string error{};  // describe()d
        task_id id = 0;
        std::string name{};
        std::string context{};
        unsigned line = 0;
    };

    hook listener() {
        return [this](event_info const& info) {
            entry e{describe(info.error), info.id, std::string(info.name), std::string(info.context),
                    static_cast<unsigned>(info.where.line())};
            std::lock_guard const lock(mutex_);
            entries_.push_back(std::move(e));
        };
    }
    std::size_t size() const {
        std::lock_guard const lock(mutex_);
        return entries_.size();
    }
    std::vector<entry> entries() const {
        std::lock_guard const lock(mutex_);
        return entries_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<entry> entries_;
};

// How many tokens are alive, and how many have ever been made from nothing.
struct tally {
    std::atomic<int> alive{0};
    std::atomic<int> made{0};
};

// An object whose life is counted: what must be destroyed exactly once is one of these.
class token {
public:
    explicit token(tally& of) noexcept : of_(&of) {
        of.made.fetch_add(1);
        of.alive.fetch_add(1);
    }
    token(token const& other) noexcept : of_(other.of_) { of_->alive.fetch_add(1); }
    token(token&& other) noexcept : of_(other.of_) { of_->alive.fetch_add(1); }
    token& operator=(token const&) = default;
    token& operator=(token&&) = default;
    ~token() { of_->alive.fetch_sub(1); }

private:
    tally* of_;
};

}  // namespace magpie::tests
