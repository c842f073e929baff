#include <magpie/combinators/detail/gradient_limit.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <random>

namespace {

using namespace magpie;
using namespace magpie::detail;
using namespace std::chrono_literals;

constexpr limit_config settings{.kind = limit_kind::gradient, .initial = 20, .min = 2, .max = 200};

// Operations that follow each other in rounds: `limit` of them at once, then the next ones. Their latency is that of a
// server with room for so many, unless a test says something else.
class driven_limit {
public:
    explicit driven_limit(limit_config const& c) : limit(c) {}

    // As many samples as the algorithm's round has.
    template <class Change>
    void round(Change change) {
        std::size_t const samples = std::max<std::size_t>(limit.limit(), 16);
        std::size_t const in_flight = std::min(limit.limit(), load);
        double const wait = std::max(1.0, static_cast<double>(in_flight) / capacity);
        limit_sample sample{.began = now,
                            .latency =
                                duration(static_cast<duration::rep>(static_cast<double>(service.count()) * wait)),
                            .full = in_flight == limit.limit(),
                            .in_flight = in_flight};
        now += sample.latency;
        for (std::size_t i = 0; i < samples; ++i) {
            limit_sample each = sample;
            change(each, i);
            limit.add(each);
        }
    }
    void round() {
        round([](limit_sample&, std::size_t) {});
    }
    // Where the limit was, least and most, and how often it was below a capacity's share.
    struct course {
        std::size_t least = 1'000'000;
        std::size_t most = 0;
        int below = 0;
    };
    course rounds(int n, double share = 0.9) {
        course seen;
        for (int i = 0; i < n; ++i) {
            round();
            seen.least = std::min(seen.least, limit.limit());
            seen.most = std::max(seen.most, limit.limit());
            seen.below += static_cast<double>(limit.limit()) < capacity * share ? 1 : 0;
        }
        return seen;
    }

    gradient_limit limit;
    double capacity = 50;
    duration service = 10ms;
    std::size_t load = 1'000'000;
    time_point now{};
};

}  // namespace

TEST_CASE("gradient: grows by half a square root each round while the latency stays") {
    driven_limit d(settings);
    d.capacity = 1000;
    d.round();
    CHECK(d.limit.limit() == 22);  // 20 + sqrt(20) / 2 = 22.2
    d.round();
    CHECK(d.limit.limit() == 24);  // 24.6
    d.round();
    CHECK(d.limit.limit() == 27);  // 27.1
    d.rounds(200);
    CHECK(d.limit.limit() == 200);
}

TEST_CASE("gradient: comes to the capacity and a small queue, and stays there for good") {
    for (unsigned initial : {2U, 20U, 200U}) {
        CAPTURE(initial);
        limit_config c = settings;
        c.initial = initial;
        driven_limit d(c);
        d.rounds(120);
        auto const seen = d.rounds(5000);
        CHECK(seen.most <= 75);          // 1.1 x 50 + sqrt(70), and the step
        CHECK(seen.least >= 30);         // a probe: half
        CHECK(seen.below <= 5000 / 60);  // only probes are below the capacity, one round in 65
    }
}

TEST_CASE("gradient: follows a capacity that halves, doubles, or all but vanishes") {
    driven_limit d(settings);
    d.rounds(200);
    d.capacity = 25;
    d.rounds(80);
    CHECK(d.rounds(200).most <= 40);
    d.capacity = 100;
    d.rounds(60);
    auto const more = d.rounds(200);
    CHECK(more.most <= 140);
    CHECK(more.below <= 4);
    d.capacity = 4;
    d.rounds(100);
    CHECK(d.rounds(200).most <= 10);
}

TEST_CASE("gradient: a server that became slower for good is left alone after one halving") {
    driven_limit d(settings);
    d.rounds(400);
    d.service = 30ms;
    std::size_t const least = d.rounds(100).least;
    CHECK(least >= 17);  // half of what it was, and perhaps half of that for a probe
    auto const later = d.rounds(400);
    CHECK(later.most <= 75);
    CHECK(later.below <= 10);
    d.service = 3ms;
    d.rounds(60);
    CHECK(d.rounds(400).most <= 75);
}

TEST_CASE("gradient: noise, stragglers and a mixture of cheap and dear do not bring it down") {
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> noise(0, 0.7);
    auto const times = [](limit_sample& s, double factor) {
        s.latency = duration(static_cast<duration::rep>(static_cast<double>(s.latency.count()) * factor));
    };
    for (int kind = 0; kind < 3; ++kind) {
        CAPTURE(kind);
        driven_limit d(settings);
        double sum = 0;
        std::size_t most = 0;
        for (int i = 0; i < 2000; ++i) {
            d.round([&](limit_sample& s, std::size_t n) {
                switch (kind) {
                case 0:
                    times(s, noise(random));
                    break;
                case 1:
                    times(s, random() % 50 == 0 ? 30 : 1);
                    break;
                default:
                    times(s, n % 2 == 0 ? 0.02 : 1);
                    break;
                }
            });
            if (i >= 200) {
                sum += static_cast<double>(d.limit.limit());
                most = std::max(most, d.limit.limit());
            }
        }
        CHECK(sum / 1800 > 50);
        CHECK(most < 120);
    }
}

TEST_CASE("gradient: a limit that nobody reaches does not grow, and a quiet server's latency is its baseline") {
    driven_limit d(settings);
    d.load = 15;
    d.rounds(300);
    CHECK(d.limit.limit() <= 20);
    CHECK(d.limit.limit() >= 10);
    d.load = 8;  // less than half: no probe is needed to see another latency
    d.service = 80ms;
    d.round();
    d.round();
    CHECK(d.limit.limit() >= 10);
    std::size_t const before = d.limit.limit();
    d.load = 1000;
    d.rounds(3);
    CHECK(d.limit.limit() > before);
}

TEST_CASE("gradient: what fails is work not done") {
    driven_limit d(settings);
    d.capacity = 1e6;
    auto const failing = [&](std::size_t per_hundred, int rounds) {
        for (int i = 0; i < rounds; ++i) {
            d.round([&](limit_sample& s, std::size_t n) { s.succeeded = n % 100 >= per_hundred; });
        }
    };
    failing(0, 40);
    std::size_t const healthy = d.limit.limit();
    CHECK(healthy > 100);
    failing(100, 1);
    CHECK(d.limit.limit() < healthy);
    CHECK(d.limit.limit() >= healthy * 3 / 4);  // one round of errors is one step
    failing(100, 60);
    CHECK(d.limit.limit() <= 4);  // where a square root more weighs as much
    failing(1, 200);
    CHECK(d.limit.limit() > 100);
}

TEST_CASE("gradient: what began before the last change does not count") {
    driven_limit d(settings);
    d.capacity = 1000;
    d.round();
    d.round();
    std::size_t const before = d.limit.limit();
    limit_sample const old{.began = d.now - 1ns, .latency = 1s, .succeeded = false, .full = true, .in_flight = 1};
    for (int i = 0; i < 1000; ++i) {
        d.limit.add(old);
    }
    CHECK(d.limit.limit() == before);
}

TEST_CASE("gradient: one probe halves the limit for one round, and then it is as before") {
    driven_limit d(settings);
    d.capacity = 1000;
    for (int i = 0; i < 3; ++i) {
        d.round();
    }
    std::size_t const before = d.limit.limit();
    d.round();
    CHECK(d.limit.limit() < before);
    CHECK(d.limit.limit() >= before / 2);
    d.round();
    CHECK(d.limit.limit() >= before);
}

TEST_CASE("gradient: min and max hold, for probes too, and new ones hold at once") {
    limit_config c = settings;
    c.min = 18;
    c.max = 24;
    driven_limit d(c);
    auto const seen = d.rounds(500);
    CHECK(seen.least >= 18);
    CHECK(seen.most == 24);
    d.limit.configure({.kind = limit_kind::gradient, .initial = 30, .min = 28, .max = 30});
    CHECK(d.limit.limit() == 28);
    d.limit.configure({.kind = limit_kind::gradient, .initial = 5, .min = 1, .max = 10});
    CHECK(d.limit.limit() == 10);
    d.limit.move_to(3);
    CHECK(d.limit.limit() == 3);
    d.capacity = 1e-3;  // ever slower, the less the better: the least there is
    d.rounds(100);
    CHECK(d.limit.limit() >= 1);
}
