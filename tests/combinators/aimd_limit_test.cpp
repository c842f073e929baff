#include <magpie/combinators/detail/aimd_limit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>

namespace {

using namespace magpie;
using namespace magpie::detail;
using namespace std::chrono_literals;

constexpr limit_config settings{.kind = limit_kind::aimd, .initial = 20, .min = 2, .max = 40, .target = 15ms};

constexpr time_point start{};

// One operation each of 10 ms, and then how they are different.
limit_sample good(time_point began = start) {
    return {.began = began, .latency = 10ms, .succeeded = true, .full = true, .in_flight = 1};
}
limit_sample failed(time_point began = start) {
    limit_sample sample = good(began);
    sample.succeeded = false;
    return sample;
}
limit_sample slow(time_point began = start) {
    limit_sample sample = good(began);
    sample.latency = 16ms;
    return sample;
}

void add(aimd_limit& limit, std::size_t times, limit_sample const& sample) {
    for (std::size_t i = 0; i < times; ++i) {
        limit.add(sample);
    }
}

}  // namespace

TEST_CASE("aimd: one more after each round of as many samples as the limit, up to max") {
    aimd_limit limit(settings);
    add(limit, 19, good());
    CHECK(limit.limit() == 20);
    limit.add(good());
    CHECK(limit.limit() == 21);
    add(limit, 20, good());
    CHECK(limit.limit() == 21);
    limit.add(good());
    CHECK(limit.limit() == 22);
    add(limit, 10'000, good());
    CHECK(limit.limit() == 40);
}

TEST_CASE("aimd: a burst of failures that take no time is one decrease") {
    aimd_limit limit(settings);
    limit_sample instant = failed();
    instant.latency = 0ms;
    add(limit, 10, instant);
    CHECK(limit.limit() == 18);
    instant.began += 1ms;
    limit.add(instant);
    CHECK(limit.limit() == 16);
}

TEST_CASE("aimd: a sample that another clock has measured leaves it deaf to none of the rest") {
    aimd_limit limit(settings);
    limit.add(failed(start + 1h));
    CHECK(limit.limit() == 18);
    add(limit, 18, good());
    CHECK(limit.limit() == 19);
}

TEST_CASE("aimd: a limit that nobody reaches does not grow; one sample that reached it is enough") {
    aimd_limit limit(settings);
    limit_sample idle = good();
    idle.full = false;
    add(limit, 10'000, idle);
    CHECK(limit.limit() == 20);
    limit.add(good());
    add(limit, 19, idle);
    CHECK(limit.limit() == 21);
}

TEST_CASE("aimd: a failure takes a tenth, and the others of its round trip take nothing") {
    aimd_limit limit(settings);
    add(limit, 20, failed());
    CHECK(limit.limit() == 18);
    add(limit, 1000, good());  // they began before, too
    CHECK(limit.limit() == 18);
    limit.add(failed(start + 10ms));
    CHECK(limit.limit() == 16);
    add(limit, 20, failed(start + 19ms));
    CHECK(limit.limit() == 16);
    add(limit, 16, good(start + 20ms));
    CHECK(limit.limit() == 17);
}

TEST_CASE("aimd: the smallest decrease is one, and min is the end") {
    aimd_limit limit({.kind = limit_kind::aimd, .initial = 5, .min = 2, .max = 9});
    time_point now = start;
    for (std::size_t expected : {4U, 3U, 2U, 2U, 2U}) {
        limit.add(failed(now));
        CHECK(limit.limit() == expected);
        now += 10ms;
    }
}

TEST_CASE("aimd: slow is what is above the target, and a tenth of a round may be") {
    aimd_limit limit(settings);
    limit_sample exactly = good();
    exactly.latency = 15ms;
    add(limit, 20, exactly);
    CHECK(limit.limit() == 21);
    for (int round = 0; round < 5; ++round) {
        std::size_t const before = limit.limit();
        add(limit, 2, slow());
        add(limit, before - 2, good());
        CHECK(limit.limit() == before + 1);
    }
    CHECK(limit.limit() == 26);
    add(limit, 3, slow());
    CHECK(limit.limit() == 23);
}

TEST_CASE("aimd: without a target only failures count") {
    limit_config no_target = settings;
    no_target.target = {};
    aimd_limit limit(no_target);
    add(limit, 20, slow());
    CHECK(limit.limit() == 21);
}

TEST_CASE("aimd: unknown latencies are not slow, and failures among them count") {
    aimd_limit limit(settings);
    limit_sample untimed = good();
    untimed.latency = limit_sample::unknown;
    add(limit, 20, untimed);
    CHECK(limit.limit() == 21);
    untimed.succeeded = false;
    limit.add(untimed);
    CHECK(limit.limit() == 18);
}

TEST_CASE("aimd: new settings keep what was learnt within the new bounds") {
    aimd_limit limit(settings);
    limit.configure({.kind = limit_kind::aimd, .initial = 35, .min = 30, .max = 40});
    CHECK(limit.limit() == 30);
    limit.configure({.kind = limit_kind::aimd, .initial = 5, .min = 2, .max = 10, .target = 5ms});
    CHECK(limit.limit() == 10);
    add(limit, 2, good());  // slow now
    CHECK(limit.limit() == 9);
    limit.move_to(100);
    CHECK(limit.limit() == 10);
    limit.move_to(1);
    CHECK(limit.limit() == 2);
}
