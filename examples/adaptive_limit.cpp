// How many requests at once can a server take? A limit that adapts finds out, and follows when the answer changes.
//
// The server here has so many threads; beyond that, requests queue up in it and get in each other's way, so that it does
// less the more it is asked for. A fixed limit that is right today is wrong tomorrow.

#include <magpie/magpie.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <string>
#include <utility>

using namespace magpie;
using namespace std::chrono_literals;

class server {
public:
    explicit server(int threads) : capacity_(threads), threads_(threads) {}

    task<> request() {
        ++in_flight_;
        auto const thread = co_await threads_.acquire();
        double const crowd = std::max(1.0, static_cast<double>(in_flight_) / capacity_);
        co_await sleep(std::chrono::microseconds(static_cast<int>(10'000 * crowd)));  // 10 ms, if it is left in peace
        --in_flight_;
        ++answered_;
    }
    void set_threads(int n) {
        capacity_ = n;
        threads_.resize(n);
    }
    int capacity() const { return capacity_; }
    int take_answered() { return std::exchange(answered_, 0); }

private:
    int capacity_;
    semaphore threads_;
    int in_flight_ = 0;
    int answered_ = 0;
};

// Prints a line every half a second; gives the requests answered in all.
task<int> watch(server& s, limiter& l, int lines) {
    int sum = 0;
    for (int i = 0; i < lines; ++i) {
        co_await sleep(500ms);
        int const answered = s.take_answered();
        sum += answered;
        int const limit = static_cast<int>(l.limit());
        std::string bar(static_cast<std::size_t>(limit) / 4, '#');
        if (bar.size() > 60) {
            bar = bar.substr(0, 57) + "...";
        }
        std::printf("  %6d/s  limit %4d  %s\n", answered * 2, limit, bar.c_str());
    }
    co_return sum;
}

// A load without end, for three seconds each with 60 threads, 15, and 120.
task<int> one_day(char const* name) {
    limiter& limit = limits[name];
    server s(60);
    auto const request = [&](int) { return s.request(); };
    auto load = spawn(batch_each(std::views::iota(0), request, {.limit = limit}));
    int sum = 0;
    for (int threads : {60, 15, 120}) {
        s.set_threads(threads);
        std::printf("%s: the server has %d threads, so %d requests/s at best\n", name, threads, threads * 100);
        sum += co_await watch(s, limit, 6);
    }
    load.cancel();
    auto const ended = co_await gather(settled, std::move(load));
    std::printf("%s: %d requests answered\n\n", name, sum);
    co_return sum;
}

task<int> amain() {
    int const fixed = co_await one_day("fixed");
    int const aimd = co_await one_day("aimd");
    int const gradient = co_await one_day("gradient");
    std::printf("fixed %d, aimd %d, gradient %d\n", fixed, aimd, gradient);
    co_return aimd > fixed&& gradient > fixed ? 0 : 1;
}

int main() {
    config c = config::from_toml(R"(
        [limits]
        fixed = 150

        [limits.aimd]
        kind = "aimd"
        initial = 150
        target = "15ms"   # one request in ten may be slower

        [limits.gradient]
        kind = "gradient"
        initial = 150
    )");
    c.clock = clock_kind::simulated;  // nine seconds each, in no time
    return run(amain(), c);
}
