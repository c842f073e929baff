#include <magpie/runtime/scheduler/config_keys.hpp>

#include <limits>
#include <utility>

namespace magpie::detail {
namespace {

using namespace std::string_view_literals;
using namespace std::chrono_literals;

constexpr std::string_view clock_words[] = {"real", "simulated"};
constexpr std::string_view drive_words[] = {"threads", "external"};
constexpr std::string_view backend_words[] = {"auto", "io_uring", "poll"};
constexpr std::string_view limit_words[] = {"fixed", "aimd", "gradient"};

// Between a member and its config_value. `Access` maps a config to one of its members.
template <class Owner, auto Access>
struct member {
    using type = std::remove_reference_t<decltype(Access(std::declval<Owner&>()))>;

    static config_value get(void const* owner) {
        auto const& value = Access(*static_cast<Owner const*>(owner));
        if constexpr (std::is_same_v<type, std::string>) {
            return value;
        } else if constexpr (std::is_same_v<type, duration>) {
            return static_cast<std::uint64_t>(value.count());
        } else {
            return static_cast<std::uint64_t>(value);
        }
    }
    static void set(void* owner, config_value const& value) {
        auto& target = Access(*static_cast<Owner*>(owner));
        if constexpr (std::is_same_v<type, std::string>) {
            target = std::get<std::string>(value);
        } else if constexpr (std::is_same_v<type, duration>) {
            target = duration{static_cast<duration::rep>(std::get<std::uint64_t>(value))};
        } else {
            target = static_cast<type>(std::get<std::uint64_t>(value));
        }
    }
};

constexpr std::uint64_t ns(duration d) {
    return static_cast<std::uint64_t>(d.count());
}
constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;
constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

template <class Member>
constexpr config_key row(std::string_view path, key_kind kind, std::uint64_t min, std::uint64_t max,
                         std::string_view zero, std::string_view meaning) {
    return {path, kind, false, min, max, zero, {}, &Member::get, &Member::set, meaning};
}
template <class Member>
constexpr config_key flag(std::string_view path, std::string_view meaning) {
    return row<Member>(path, key_kind::flag, 0, 1, {}, meaning);
}
template <class Member>
constexpr config_key choice(std::string_view path, std::span<std::string_view const> words, std::string_view meaning) {
    auto key = row<Member>(path, key_kind::choice, 0, words.size() - 1, {}, meaning);
    key.words = words;
    return key;
}
template <class Member>
constexpr config_key power_of_two(std::string_view path, std::uint64_t min, std::uint64_t max,
                                  std::string_view meaning) {
    auto key = row<Member>(path, key_kind::number, min, max, {}, meaning);
    key.power_of_two = true;
    return key;
}

template <auto Access>
using of_config = member<config, Access>;
template <auto Access>
using of_limit = member<limit_config, Access>;

constexpr config_key config_rows[] = {
    row<of_config<[](auto& c) -> auto& { return c.workers; }>>(
        "runtime.workers", key_kind::number, 1, 1024, "auto",
        "Event loops, a thread each. \"auto\": the CPUs in the affinity mask, or the cgroup's CPU quota rounded up if "
        "that is less."),
    flag<of_config<[](auto& c) -> auto& { return c.pin; }>>("runtime.pin", "Bind each worker's thread to one CPU."),
    flag<of_config<[](auto& c) -> auto& { return c.steal; }>>("runtime.steal",
                                                              "Idle workers take ready tasks from busy ones."),
    flag<of_config<[](auto& c) -> auto& { return c.rescue; }>>(
        "runtime.rescue", "Other workers take over the completions, timers and cancellations of a worker that is stuck in one task."),
    row<of_config<[](auto& c) -> auto& { return c.stall_threshold; }>>(
        "runtime.stall_threshold", key_kind::time, ns(200us), ns(1h), "off",
        "A worker that has been in one task for longer than this counts as stuck. \"off\": nobody ever does."),
    flag<of_config<[](auto& c) -> auto& { return c.spare_worker; }>>(
        "runtime.spare_worker", "While all of two or more workers are stuck, one more thread runs what is ready."),
    row<of_config<[](auto& c) -> auto& { return c.spin; }>>(
        "runtime.spin", key_kind::time, ns(1us), ns(10ms), "off",
        "How long a worker that has run out of work looks for more before it sleeps. Shortens the answer to the next "
        "event, and costs that much CPU each time."),
    row<of_config<[](auto& c) -> auto& { return c.blocking_threads; }>>(
        "runtime.blocking_threads", key_kind::number, 1, 4096, {},
        "Most threads that blocking calls (to_thread and the like) may use; further calls queue."),
    row<of_config<[](auto& c) -> auto& { return c.event_interval; }>>(
        "runtime.event_interval", key_kind::number, 1, 10'000, {},
        "Tasks a busy worker resumes between two looks at I/O, timers and work from outside."),
    row<of_config<[](auto& c) -> auto& { return c.frame_cache; }>>(
        "runtime.frame_cache", key_kind::bytes, 4 * KiB, 1024 * MiB, "off",
        "Most memory of free coroutine frames that each worker keeps for reuse."),
    row<of_config<[](auto& c) -> auto& { return c.name; }>>(
        "runtime.name", key_kind::text, 1, 10, {}, "Of the threads, as top and gdb show them: \"magpie/0\" and so on."),
    row<of_config<[](auto& c) -> auto& { return c.seed; }>>(
        "runtime.seed", key_kind::number, 0, any, {},
        "Simulated clock: permutes ready tasks, the same way for the same seed; 0 keeps them first in, first out. Real "
        "clock: seeds the choice of whom to steal from."),

    choice<of_config<[](auto& c) -> auto& { return c.clock; }>>(
        "clock", clock_words, "\"simulated\": virtual time and an exactly repeatable order, for tests. One worker."),
    flag<of_config<[](auto& c) -> auto& { return c.handle_sigint; }>>(
        "handle_sigint", "run() turns SIGINT into cancellation of the main task."),
    choice<of_config<[](auto& c) -> auto& { return c.drive; }>>(
        "drive", drive_words, "\"external\": no threads; the program drives one worker from its own event loop."),

    choice<of_config<[](auto& c) -> auto& { return c.io.backend; }>>(
        "io.backend", backend_words,
        "\"auto\": io_uring, or poll where the kernel refuses it. \"io_uring\": that or an error. \"poll\": epoll."),
    power_of_two<of_config<[](auto& c) -> auto& { return c.io.ring_entries; }>>(
        "io.ring_entries", 8, 32'768, "Submission queue of each worker's ring."),
    power_of_two<of_config<[](auto& c) -> auto& { return c.io.cq_entries; }>>(
        "io.cq_entries", 16, 65'536,
        "Completion queue of each worker's ring, 16 bytes an entry: with more operations in flight their completions may "
        "take a detour. Not less than ring_entries."),
    row<of_config<[](auto& c) -> auto& { return c.io.buffer_ring.size; }>>(
        "io.buffer_ring.size", key_kind::bytes, 256, MiB, {},
        "One receive buffer that connections borrow while data is there, so that an idle one holds none."),
    power_of_two<of_config<[](auto& c) -> auto& { return c.io.buffer_ring.count; }>>(
        "io.buffer_ring.count", 8, 32'768,
        "Such buffers for each worker, at most; memory is used for as many as were needed at once."),
    flag<of_config<[](auto& c) -> auto& { return c.io.sqpoll; }>>(
        "io.sqpoll", "A kernel thread per ring picks up submissions: fewer system calls for a CPU that never rests."),
};

constexpr config_key limit_rows[] = {
    choice<of_limit<[](auto& l) -> auto& { return l.kind; }>>(
        "kind", limit_words,
        "\"fixed\": stays at initial. \"aimd\": grows by one each round trip while all goes well, shrinks by a tenth on "
        "errors or latency above target. \"gradient\": follows the ratio of the server's own latency to the present "
        "one."),
    row<of_limit<[](auto& l) -> auto& { return l.initial; }>>("initial", key_kind::number, 1, 1'000'000, {},
                                                              "Operations in flight at once, to begin with."),
    row<of_limit<[](auto& l) -> auto& { return l.min; }>>("min", key_kind::number, 1, 1'000'000, {},
                                                          "aimd, gradient: never fewer than this."),
    row<of_limit<[](auto& l) -> auto& { return l.max; }>>("max", key_kind::number, 1, 1'000'000, {},
                                                          "aimd, gradient: never more than this."),
    row<of_limit<[](auto& l) -> auto& { return l.target; }>>(
        "target", key_kind::time, ns(1us), ns(1h), "off",
        "aimd: more than one operation in ten slower than this is congestion. \"off\": only errors are."),
};

}  // namespace

std::span<config_key const> config_keys() noexcept {
    return config_rows;
}
std::span<config_key const> limit_keys() noexcept {
    return limit_rows;
}

}  // namespace magpie::detail
