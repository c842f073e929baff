#pragma once

// What the twins in C++ have in common, and what tells those in other languages how to behave:
//
//   twin --list              prints the rows that it has, one a line
//   twin ROW --workers N     rehearses the row once and runs it until that took 300 ms, nine times at most; prints
//                            a line of JSON: row, workers, ops (tasks, items, … of one run), ms (of the median run), cpu_ms
//                            (of the whole process, in the mean), peak_mb (of its whole life; VmHWM, for ru_maxrss
//                            begins with the parent's), and p50_us, p99_us, max_us in rows of latencies
//
// A wrong result is an error: a sentence, and exit status 1.

#include "../../support/process.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace peers {

using clock = std::chrono::steady_clock;

class measurement {
public:
    explicit measurement(unsigned workers) : workers_(workers) {}

    unsigned workers() const noexcept { return workers_; }

    // Once as a rehearsal, so that memory which the system has to hand out first does not count, and then again and
    // again. `expected` is what f() is to give.
    template <class F, class T>
    void run(double ops, F f, T const& expected) {
        constexpr double enough_ms = 300;
        constexpr std::size_t most = 9;
        check(f() == expected);
        std::vector<double> rounds;
        double cpu_ms = 0;
        for (double spent_ms = 0; spent_ms < enough_ms && rounds.size() < most; spent_ms += ms_) {
            timed(ops, [&] { check(f() == expected); });
            rounds.push_back(ms_);
            cpu_ms += cpu_ms_;
        }
        std::ranges::sort(rounds);
        ms_ = rounds[rounds.size() / 2];
        cpu_ms_ = cpu_ms / static_cast<double>(rounds.size());
    }

    // Only once.
    template <class F>
    void timed(double ops, F f) {
        double const cpu = magpie::bench::cpu_seconds();
        auto const begun = clock::now();
        f();
        ms_ = std::chrono::duration<double, std::milli>(clock::now() - begun).count();
        cpu_ms_ = (magpie::bench::cpu_seconds() - cpu) * 1e3;
        ops_ = ops;
    }

    void latencies(std::vector<double> microseconds) { latencies_ = std::move(microseconds); }

    void print(std::string_view row) {
        std::printf(R"({"row":"%.*s","workers":%u,"ops":%.0f,"ms":%.3f,"cpu_ms":%.3f,"peak_mb":%.3f)",
                    static_cast<int>(row.size()), row.data(), workers_, ops_, ms_, cpu_ms_,
                    magpie::bench::peak_bytes() / 1e6);
        if (!latencies_.empty()) {
            std::ranges::sort(latencies_);
            auto const of = [this](std::size_t percent) { return latencies_[(latencies_.size() - 1) * percent / 100]; };
            std::printf(R"(,"p50_us":%.3f,"p99_us":%.3f,"max_us":%.3f)", of(50), of(99), of(100));
        }
        std::printf("}\n");
    }

    static void check(bool right) {
        if (!right) {
            throw std::runtime_error("wrong result");
        }
    }

private:
    unsigned workers_;
    double ops_ = 0;
    double ms_ = 0;
    double cpu_ms_ = 0;
    std::vector<double> latencies_;
};

struct row {
    std::string_view name;
    void (*run)(measurement&);
};

inline int usage() {
    std::fputs("usage: twin --list | twin ROW --workers N\n", stderr);
    return 2;
}

inline int main_of_twin(int argc, char** argv, std::span<row const> rows) {
    std::string_view const asked = argc > 1 ? argv[1] : "";
    if (asked == "--list") {
        for (row const& each : rows) {
            std::printf("%.*s\n", static_cast<int>(each.name.size()), each.name.data());
        }
        return 0;
    }
    auto const found = std::ranges::find(rows, asked, &row::name);
    int const workers = argc == 4 && std::string_view(argv[2]) == "--workers" ? std::atoi(argv[3]) : 0;
    if (found == rows.end() || workers < 1) {
        return usage();
    }
    try {
        measurement result(static_cast<unsigned>(workers));
        found->run(result);
        result.print(found->name);
    } catch (std::exception const& error) {
        std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
        return 1;
    }
    return 0;
}

}  // namespace peers
