// The integrity of everything that a stuck worker's siblings do for it. Some hundred tasks send known bytes to each other
// and compute in between, for so long that their workers are taken for stuck, now and then all of them at once. Every
// byte is checked, every coroutine is watched: that one thread at a time runs it, and that it goes on.
//
//     magpie_soak_stalls [--backend io_uring|poll] [--seconds N] [--seed N]
//
// It fails if something is wrong, and also if nobody was ever rescued: then it has proved nothing. A seed repeats the
// configurations and every task's choices, not the kernel's.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <runtime/support/kit.hpp>
#include <soak/stalls/round.hpp>
#include <support/soak.hpp>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

constexpr int cannot_be_tried = 77;

struct options {
    io_backend backend = io_backend::io_uring;
    std::chrono::seconds time{};
    std::uint64_t seed = 0;
};

[[noreturn]] void usage() {
    std::fputs("usage: magpie_soak_stalls [--backend io_uring|poll] [--seconds N] [--seed N]\n", stderr);
    std::exit(2);
}

options parse(int count, char** words) {
    // ./dev soak runs this program once for each loop.
    options o{.time = std::max(std::chrono::seconds(1), soak_time() / 2)};
    bool has_seed = false;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count) {
            usage();
        }
        std::string_view const name = words[i];
        char const* const value = words[i + 1];
        if (name == "--backend" && std::strcmp(value, "poll") == 0) {
            o.backend = io_backend::poll;
        } else if (name == "--seconds") {
            o.time = std::chrono::seconds(std::strtol(value, nullptr, 10));
        } else if (name == "--seed") {
            o.seed = std::strtoull(value, nullptr, 0);
            has_seed = true;
        } else if (name != "--backend" || std::strcmp(value, "io_uring") != 0) {
            usage();
        }
    }
    if (!has_seed) {
        o.seed = soak_seed();
    }
    return o;
}

bool io_uring_is_refused() {
    char parameters[120]{};
    long const ring = ::syscall(SYS_io_uring_setup, 1, parameters);
    if (ring >= 0) {
        ::close(static_cast<int>(ring));
    }
    return ring < 0;
}

void print(char const* what, std::uint64_t n) {
    std::printf("%14llu %s\n", static_cast<unsigned long long>(n), what);
}

void print(totals const& sum) {
    for (std::size_t i = 0; i < sum.tallies.size(); ++i) {
        print(tally_names[i], sum.tallies[i]);
    }
    print("storms: all workers stuck at once", sum.storms);
    print("stalls", sum.stalls);
    print("rescues", sum.rescues);
    print("completions", sum.completions);
    print("completions taken over", sum.completions_taken_over);
    print("timers taken over", sum.timers_taken_over);
    print("tasks stolen", sum.tasks_stolen);
    print("rounds in which the spare worker was lent", sum.lent_in);
    print("resumptions by the spare worker", sum.tasks_of_spare);
}

}  // namespace

int main(int count, char** words) {
    options const o = parse(count, words);
    if (o.backend == io_backend::io_uring && io_uring_is_refused()) {
        std::fputs("stalls: io_uring is refused here\n", stderr);
        return cannot_be_tried;
    }
    std::printf("seed: %llu\n", static_cast<unsigned long long>(o.seed));
    watchdog watch(sanitized ? 120s : 40s);
    totals sum;
    auto const end = std::chrono::steady_clock::now() + o.time;
    auto const length = std::clamp<std::chrono::milliseconds>(o.time / 2, 500ms, 15s);
    do {
        run_round(watch, mixed(o.seed + sum.rounds), o.backend, length, sum);
    } while (std::chrono::steady_clock::now() + length / 2 < end);
    print(sum);
    if (sum.rescues == 0) {
        std::fputs("stalls: FAILED: nobody was rescued, which proves nothing\n", stderr);
        return 1;
    }
    return 0;
}
