#pragma once

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/hooks.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace magpie {

enum class clock_kind : std::uint8_t {
    real,
    simulated,  // virtual time, one worker, exactly repeatable; for tests
};

enum class drive_kind : std::uint8_t {
    threads,   // a thread per worker
    external,  // no threads: the program calls rt.run_ready() from its own event loop
};
inline constexpr drive_kind external = drive_kind::external;

enum class io_backend : std::uint8_t {
    automatic,  // io_uring, or poll where the kernel refuses it; "auto" in text
    io_uring,   // io_uring, or an error that says why it is refused
    poll,       // epoll: sockets, timers; files on the blocking pool
};

enum class limit_kind : std::uint8_t {
    fixed,     // `initial`, until somebody resizes it
    aimd,      // +1 each round trip while all goes well, × 0.9 on errors or latency above `target`
    gradient,  // follows the ratio of the server's own latency to the present one
};

namespace detail {
struct config_record;
}

// How many operations may be in flight at once: one entry of config.limits.
struct limit_config {
    limit_kind kind = limit_kind::fixed;
    unsigned initial = 64;  // 1 … 1,000,000; adaptive kinds start here
    unsigned min = 1;       // 1 … 1,000,000, adaptive kinds only
    unsigned max = 1024;    // 1 … 1,000,000, adaptive kinds only
    duration target{};      // aimd only: more than one in ten slower than this is congestion; 0 = only errors are;
                            // up to 1 h

    // config.limits["upstream"] = 64: a fixed limit.
    template <std::integral N>
        requires(!std::same_as<N, bool>)
    limit_config& operator=(N n) {
        return *this = fixed(n < 0 ? 0 : static_cast<std::uint64_t>(n));
    }
    bool operator==(limit_config const&) const = default;

private:
    static limit_config fixed(std::uint64_t n) noexcept;
};

struct buffer_ring_config {
    std::size_t size = 8192;  // bytes of one buffer; 256 B … 1 MiB
    unsigned count = 1024;    // buffers per worker, at most: memory is used for as many as were needed at once;
                              // a power of two, 8 … 32768
};

// How each worker talks to the kernel: section [io].
struct io_config {
    io_backend backend = io_backend::automatic;
    unsigned ring_entries = 256;     // submission queue of each ring; a power of two, 8 … 32768
    unsigned cq_entries = 16384;     // completion queue of each ring: so many operations in flight need no detour;
                                     // a power of two, 16 … 65536, not below ring_entries
    buffer_ring_config buffer_ring;  // memory that idle connections borrow from instead of holding their own
    bool sqpoll = false;             // a kernel thread per ring submits; costs a core, saves system calls
};

// Everything that can be set, with its default. A plain struct: set members, then give it to run() or to a runtime,
// which calls validate() and keeps a copy. The members down to `seed` are the keys of section [runtime]; docs and
// ranges of all keys in one place: docs/configuration.md.
//
// Each value comes from, last one wins: the default, the TOML file, the environment (MAGPIE_RUNTIME_WORKERS=4,
// MAGPIE_IO_BUFFER_RING_SIZE=64KiB, MAGPIE_LIMITS_UPSTREAM=64), code. explain() tells which.
struct config {
    unsigned workers = 0;  // event loops, a thread each; 1 … 1024; 0 = effective_workers()
    bool pin = false;      // bind each worker's thread to one CPU
    bool steal = true;     // idle workers take ready tasks from busy ones
    bool rescue = true;    // others take over what waits for a worker that is stuck in one task
    duration stall_threshold = std::chrono::milliseconds{1};  // in one task for longer than this = stuck;
                                                              // 200 us … 1 h; 0 = nobody is ever called stuck
    bool spare_worker = true;  // while all of two or more workers are stuck, one more runs what is ready
    duration spin = std::chrono::microseconds{50};  // look for work this long before sleeping; up to 10 ms; 0 = off
    unsigned blocking_threads = 64;                 // most threads that to_thread() and the like use; 1 … 4096
    unsigned event_interval = 61;                   // resumptions between two looks at the driver; 1 … 10,000
    std::size_t frame_cache = 1'048'576;  // most bytes of free coroutine frames kept per worker; 4 KiB … 1 GiB;
                                          // 0 = every frame goes back to the allocator
    std::string name = "magpie";          // of the threads: "magpie/0", …; 1 … 10 characters
    std::uint64_t seed = 0;               // simulated clock: permutes ready tasks reproducibly; 0 = FIFO;
                                          // real clock: seeds the choice of steal victims

    // These are set in code only.
    clock_kind clock = clock_kind::real;     // simulated: needs workers 0 or 1
    bool handle_sigint = true;               // run(): SIGINT cancels the main task; false: leave signals alone
    drive_kind drive = drive_kind::threads;  // external: needs workers 0 or 1 and the real clock
    magpie::hooks hooks{};

    io_config io{};                                             // section [io]
    std::map<std::string, limit_config, std::less<>> limits{};  // section [limits]

    // Reads a TOML file, then lets the environment override it. Throws config_error, also when there is no such file.
    static config load(std::string const& path);

    // Parses TOML text, and does not look at the environment. `name` stands for the file in errors and in explain().
    static config from_toml(std::string_view text, std::string name = "<string>");

    // What run() uses when it is given no config: defaults, then the file that the environment variable MAGPIE_CONFIG
    // names (if any), then the environment.
    static config defaults();

    // Sets what variables named MAGPIE_RUNTIME_*, MAGPIE_IO_* and MAGPIE_LIMITS_* say. Throws config_error on a bad
    // value, and on an unknown name of the first two kinds (a misspelt one must not be silently without effect);
    // other MAGPIE_* variables are none of its business. `variables` has the form of environ; without it: environ,
    // which no other thread may change meanwhile.
    void apply_environment();
    void apply_environment(char const* const* variables);

    // Throws config_error if a value is out of range or two contradict each other. The runtime's constructor calls it.
    void validate() const;

    // Text for people, a line per value: key, effective value, where it came from ("default", "magpie.toml:3",
    // "environment variable MAGPIE_RUNTIME_PIN", "code"). A value that code changed and changed back has its old origin.
    std::string explain() const;

    // The file this was read from; empty if none. For reloading.
    std::string file() const;

    // All keys with their defaults, ranges and meaning: as a commented TOML file, and as Markdown tables.
    static std::string example_toml();
    static std::string reference();

    // Remembers what was loaded from where, for explain(). Leave it alone.
    std::shared_ptr<detail::config_record const> loaded{};
};

// How many workers a runtime made from `c` has, and why, for people: "set in code", "2 CPUs in the affinity mask",
// "cgroup CPU quota of 1.5 (/sys/fs/cgroup/web/cpu.max), rounded up".
// `workers = 0` means the number of CPUs in the affinity mask of the calling thread, or the cgroup's CPU quota (v1 or
// v2, of the own group or one above it) rounded up if that is less. 1 under the simulated clock and external drive.
struct worker_count {
    unsigned count = 1;
    std::string source{};
};
worker_count effective_workers(config const& c);

// The NUMA nodes of this machine that have CPUs; 1 if /sys does not tell. Bound workers (`pin`) prefer to take work from
// their own node's and to wake those; others run now here, now there, and all workers are alike to them.
unsigned numa_nodes();

}  // namespace magpie
