#pragma once

// Millions of tasks that are alive at the same time: how many can be had, what they wait for, and what they leave behind.
// Where there is less memory, or a sanitizer or an unoptimised build multiplies what a task costs, they are fewer.

#include <magpie/combinators/event.hpp>
#include <magpie/runtime/scheduler/frame_cache.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include <malloc.h>
#include <runtime/support/allocations.hpp>
#include <runtime/support/kit.hpp>

namespace magpie::tests {

#if defined(__OPTIMIZE__)
inline constexpr bool optimised = true;
#else
inline constexpr bool optimised = false;
#endif
inline constexpr std::int64_t mib = std::int64_t{1} << 20;

// A number in a file whose line begins with `key`; without limit if there is none.
inline std::uint64_t number_in(char const* path, std::string const& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key) && line.find_first_of("0123456789") != std::string::npos) {
            return std::strtoull(line.c_str() + line.find_first_of("0123456789"), nullptr, 10);
        }
    }
    return std::numeric_limits<std::uint64_t>::max();
}

// Bytes that this process may still take. In a container the second pair of files is the container's own.
inline std::uint64_t available_memory() {
    std::uint64_t const kib = number_in("/proc/meminfo", "MemAvailable:");
    std::uint64_t free = kib == std::numeric_limits<std::uint64_t>::max() ? kib : kib * 1024;
    std::uint64_t const most = number_in("/sys/fs/cgroup/memory.max", "");
    if (most != std::numeric_limits<std::uint64_t>::max()) {
        std::uint64_t const used = number_in("/sys/fs/cgroup/memory.current", "");
        free = std::min(free, most - std::min(most, used));
    }
    return free;
}

// So many tasks as are wanted, or as can be had.
inline unsigned many(unsigned plain) {
    unsigned const wanted = rounds(optimised ? plain : plain / 10);
    constexpr std::uint64_t bytes_per_task = sanitized ? 4000 : 700;
    std::uint64_t const room = available_memory() / bytes_per_task;
    if (room < wanted) {
        MESSAGE("memory for ", room, " tasks, which are tried instead of ", wanted);
        return static_cast<unsigned>(room);
    }
    return wanted;
}

// What a test has allocated, and not given back: the depot of free frames, which all runtimes share, is not counted.
class kept_memory {
public:
    std::int64_t bytes() const { return now() - before_; }

private:
    static std::int64_t now() { return live_bytes() - static_cast<std::int64_t>(detail::frame_cache::look().in_depot); }

    std::int64_t before_ = now();
};

// Where the first touch of a page is expensive, as in a virtual machine, most of a test's time would be that. From now on
// this process gives none back, and all its threads take them from one place.
inline void keep_pages() {
#if defined(M_TRIM_THRESHOLD) && defined(M_ARENA_MAX)
    (void)::mallopt(M_TRIM_THRESHOLD, -1);
    (void)::mallopt(M_ARENA_MAX, 1);
#endif
}

// What tasks wait for, and how many have come so far.
struct gate {
    event opened;
    std::atomic<std::uint64_t> came{0};
};

inline task<std::uint64_t> waits(gate& at, std::uint64_t value) {
    at.came.fetch_add(1, std::memory_order_relaxed);
    co_await at.opened.wait();
    co_return value;
}

inline task<> when_all_came(gate& at, std::uint64_t count) {
    while (at.came.load(std::memory_order_relaxed) != count) {
        co_await sleep(std::chrono::milliseconds{1});
    }
}

}  // namespace magpie::tests
