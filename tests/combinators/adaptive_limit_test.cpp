// Adaptive limits in front of a server that can do so much and no more, exact to the last sample on the simulated clock.

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/limiter.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <utility>
#include <vector>

#include <combinators/support/modelled_server.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr limit_config aimd{.kind = limit_kind::aimd, .initial = 20, .min = 1, .max = 500, .target = 15ms};
constexpr limit_config gradient{.kind = limit_kind::gradient, .initial = 20, .min = 1, .max = 500};

// A server, a limiter in front of it, and a batch that never ends. What is looked at is the limit, each millisecond.
class crowd {
public:
    explicit crowd(limit_config const& c, std::ptrdiff_t capacity = 50) : server(capacity, 10ms), limit(c) {}

    void begin() {
        auto const one = [this](int) { return server.request(); };
        load_ = std::make_unique<join_handle<>>(
            spawn(batch_each(std::views::iota(0), one, {.limit = limit, .on_error = settle})));
    }
    task<> end() {
        load_->cancel();
        CHECK_THROWS_AS(co_await std::move(*load_), child_cancelled);
        CHECK(limit.in_flight() == 0);
        CHECK(server.in_flight() == 0);
    }

    struct course {
        std::ptrdiff_t least = 1'000'000;
        std::ptrdiff_t most = 0;
        double mean = 0;
        double served_per_second = 0;
    };
    task<course> watch(int ms) {
        course seen;
        std::size_t const before = server.served();
        for (int i = 0; i < ms; ++i) {
            co_await sleep(1ms);
            seen.least = std::min(seen.least, limit.limit());
            seen.most = std::max(seen.most, limit.limit());
            seen.mean += static_cast<double>(limit.limit()) / ms;
        }
        seen.served_per_second = static_cast<double>(server.served() - before) * 1000 / ms;
        co_return seen;
    }

    modelled_server server;
    limiter limit;

private:
    std::unique_ptr<join_handle<>> load_;
};

void in_simulation(std::function<task<>()> body) {
    run(body(), simulated());
}

}  // namespace

TEST_CASE("both find a server's capacity from below and from above, and stay there") {
    for (limit_config c : {aimd, gradient}) {
        for (unsigned initial : {1U, 500U}) {
            CAPTURE(initial);
            c.initial = initial;
            auto const body = [&]() -> task<> {
                crowd all(c);
                all.begin();
                co_await sleep(6s);
                auto const seen = co_await all.watch(10'000);
                CHECK(seen.served_per_second > 4950);  // 5000 is all it can do
                CHECK(seen.mean >= 49);
                CHECK(seen.mean <= 75);
                CHECK(seen.most <= 75);
                CHECK(seen.least >=
                      (c.kind == limit_kind::aimd ? 49 : 34));  // a probe halves the gradient's for a moment
                co_await all.end();
            };
            in_simulation(body);
        }
    }
}

TEST_CASE("both follow a capacity that halves, and doubles") {
    for (limit_config const& c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            crowd all(c);
            all.begin();
            co_await sleep(6s);
            all.server.set_capacity(25);
            co_await sleep(3s);
            auto const half = co_await all.watch(5000);
            CHECK(half.most <= 43);
            CHECK(half.mean >= 24);
            CHECK(half.served_per_second > 2450);
            all.server.set_capacity(100);
            co_await sleep(4s);
            auto const twice = co_await all.watch(5000);
            CHECK(twice.most <= 140);
            CHECK(twice.mean >= 99);
            CHECK(twice.served_per_second > 9850);
            co_await all.end();
        };
        in_simulation(body);
    }
}

TEST_CASE("noise in the latency does not bring them down, nor do stragglers") {
    for (limit_config c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            c.target = 20ms;  // of aimd: nine in ten are faster
            crowd all(c);
            all.server.set_noise(0.4);
            all.begin();
            co_await sleep(6s);
            auto const noisy = co_await all.watch(5000);
            CHECK(noisy.mean >= 50);
            CHECK(noisy.most <= 110);
            all.server.set_noise(0);
            all.server.set_stragglers(20, 20);  // one in fifty takes 200 ms
            co_await sleep(3s);
            auto const straggling = co_await all.watch(5000);
            CHECK(straggling.mean >= 45);
            CHECK(straggling.most <= 110);
            co_await all.end();
        };
        in_simulation(body);
    }
}

TEST_CASE("refusals show the capacity where the latency does not") {
    for (limit_config c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            c.target = {};
            crowd all(c);
            all.server.set_queue(5);
            all.begin();
            co_await sleep(6s);
            auto const seen = co_await all.watch(5000);
            CHECK(seen.most <= 65);
            CHECK(seen.mean >= 40);
            CHECK(seen.served_per_second > 4500);
            co_await all.end();
        };
        in_simulation(body);
    }
}

TEST_CASE("errors shrink a limit, one burst once, and it comes back") {
    for (limit_config c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            c.initial = 100;
            crowd all(c, 1000);
            all.begin();
            co_await sleep(95ms);
            std::ptrdiff_t const before = all.limit.limit();
            CHECK(before >= 100);
            all.server.set_failures(1000);
            co_await sleep(10ms);  // one round trip: about a hundred failures
            CHECK(all.limit.limit() < before);
            CHECK(all.limit.limit() >= before * 7 / 10);
            co_await sleep(3s);
            CHECK(all.limit.limit() <= 4);
            all.server.set_failures(0);
            co_await sleep(5s);
            CHECK(all.limit.limit() >= before);
            co_await all.end();
        };
        in_simulation(body);
    }
}

TEST_CASE("min and max hold, and a limit that is not in use does not grow") {
    for (limit_config c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            c.min = 15;
            c.max = 30;
            crowd all(c);
            all.begin();
            co_await sleep(5s);
            CHECK(all.limit.limit() == 30);
            CHECK((co_await all.watch(1000)).least >= 15);
            CHECK(all.server.most_in_flight() == 30);
            all.server.set_failures(1000);
            co_await sleep(3s);
            auto const worst = co_await all.watch(1000);
            CHECK(worst.least == 15);
            CHECK(worst.most <= 18);
            co_await all.end();

            limiter idle(c);
            auto const one = [&](int) { return all.server.request(); };
            all.server.set_failures(0);
            for (int i = 0; i < 200; ++i) {  // 10 at a time under a limit of 20, without end
                co_await batch_each(std::views::iota(0, 10), one, {.limit = idle});
            }
            CHECK(idle.succeeded() == 2000);
            CHECK(idle.limit() <= 20);
        };
        in_simulation(body);
    }
}

TEST_CASE("the pauses between attempts are no latency, and a cancelled attempt is neither good nor bad") {
    auto const body = []() -> task<> {
        limiter l(limit_config{.kind = limit_kind::aimd, .initial = 2, .max = 100, .target = 5ms});
        int calls = 0;
        auto const one = [&](int) -> task<std::expected<int, int>> {
            co_await sleep(2ms);
            co_return ++calls;
        };
        auto const twice = [](int n) { return n % 2 == 1; };
        retry_options const retry{.attempts = 2, .backoff = 1s, .jitter = 0};
        co_await batch_each(std::views::iota(0, 200), one, {.limit = l, .retry = retry})
            .retry_if([&](std::expected<int, int> const& e) { return twice(*e); });
        CHECK(l.failed() == 0);
        CHECK(l.limit() > 10);

        std::uint64_t const before = l.succeeded();
        std::ptrdiff_t const limit = l.limit();
        auto const forever = [](int) { return nap(1h); };
        auto h = spawn(batch_each(std::views::iota(0, 50), forever, {.limit = l}));
        co_await sleep(1s);
        h.cancel();
        CHECK_THROWS_AS(co_await std::move(h), child_cancelled);
        auto const one_fails = [](int i) -> task<> {
            try {
                co_await sleep(i == 0 ? 1ms : 1h);
            } catch (task_cancelled const&) {
                throw oops("because of the other's error");
            }
            throw oops("its own");
        };
        CHECK_THROWS_AS(co_await batch_each(std::views::iota(0, 5), one_fails, {.limit = l}), oops);
        CHECK(l.succeeded() == before);
        CHECK(l.failed() == 1);
        CHECK(l.limit() == limit * 9 / 10);
    };
    config c = simulated();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
}

TEST_CASE("an item's latency ends when the item does, not when a slow consumer takes its result") {
    auto const body = []() -> task<> {
        limiter l(limit_config{.kind = limit_kind::aimd, .initial = 4, .max = 100, .target = 5ms});
        auto const one = [](int) { return nap(1ms); };
        auto const slow = [](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                co_await sleep(20ms);
            }
        };
        co_await batch_stream(std::views::iota(0, 200), one, slow, {.limit = l});
        CHECK(l.succeeded() == 200);
        CHECK(l.limit() >= 4);
    };
    run(body(), simulated());
}

TEST_CASE("a per-item timeout is a failure for the limit") {
    auto const body = []() -> task<> {
        limiter l(limit_config{.kind = limit_kind::aimd, .initial = 10, .max = 100});
        auto const never = [](int) { return nap(1h); };
        co_await batch_each(std::views::iota(0, 10), never, {.limit = l, .per_item_timeout = 5ms, .on_error = settle});
        CHECK(l.failed() == 10);
        CHECK(l.limit() == 9);  // all of one round trip
    };
    run(body(), simulated());
}

TEST_CASE("a function that refuses its input, and makes no task, tells nothing of the server") {
    auto const body = []() -> task<> {
        limiter upstream({.kind = limit_kind::aimd, .initial = 20, .min = 1, .max = 40});
        auto const refuses = [](int) -> task<int> { throw std::runtime_error("no such input"); };
        std::vector<int> const inputs(50);
        auto const outcomes = co_await batch(settled, inputs, refuses, {.limit = upstream});
        CHECK(outcomes.size() == 50);
        CHECK(upstream.limit() == 20);
        CHECK(upstream.failed() == 50);
    };
    run(body(), simulated());
}

TEST_CASE("who acquires places himself records himself") {
    for (limit_config const& c : {aimd, gradient}) {
        auto const body = [&]() -> task<> {
            modelled_server server(50, 10ms);
            server.set_noise(0.1);  // else all end in waves, at the same moments
            limiter l(c);
            auto const client = [&]() -> task<> {
                for (;;) {
                    auto const place = co_await l.acquire();
                    time_point const began = now();
                    co_await server.request();
                    l.record(true, now() - began);
                }
            };
            std::vector<join_handle<>> clients;
            for (int i = 0; i < 400; ++i) {
                clients.push_back(spawn(client()));
            }
            co_await sleep(6s);
            std::size_t const before = server.served();
            std::ptrdiff_t most = 0;
            for (int i = 0; i < 2000; ++i) {
                co_await sleep(1ms);
                most = std::max(most, l.limit());
            }
            CHECK(most <= 75);
            CHECK(server.served() - before > 9700);
            for (auto& each : clients) {
                each.cancel();
            }
            (void)co_await gather(settled, std::move(clients));
            CHECK(l.in_flight() == 0);
        };
        in_simulation(body);
    }
}
