// async_generator: values one by one, what passes through it, and how it ends.

#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/with_cleanup.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

async_generator<int> count_to(int last) {
    for (int i = 1; i <= last; ++i) {
        co_yield i;
    }
}

async_generator<int> ticks(duration each) {
    for (int i = 0;; ++i) {
        co_await sleep(each);
        co_yield i;
    }
}

// Says when it is destroyed.
class leaves_trace {
public:
    explicit leaves_trace(trace& to) noexcept : to_(&to) {}
    leaves_trace(leaves_trace&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
    ~leaves_trace() {
        if (to_ != nullptr) {
            to_->push_back("destroyed");
        }
    }

private:
    trace* to_;
};

async_generator<int> with_argument(leaves_trace argument) {
    (void)argument;
    co_yield 1;
    co_yield 2;
}

// Awaits while it cleans up.
async_generator<int> tidy(trace& seen) {
    bool closed = false;
    try {
        for (int i = 0;; ++i) {
            co_yield i;
        }
    } catch (generator_closed const&) {
        closed = true;
    }
    if (closed) {
        co_await sleep(5ms);
        seen.push_back("tidied");
    }
}

TEST_CASE("next() runs the body to its next co_yield, and is empty when it has ended") {
    auto const body = []() -> task<> {
        auto gen = count_to(3);
        static_assert(std::is_same_v<await_result_t<decltype(gen.next())>, std::optional<int>>);
        int sum = 0;
        while (auto item = co_await gen.next()) {
            sum += *item;
        }
        CHECK(sum == 6);
        CHECK_FALSE(co_await gen.next());
        auto none = count_to(0);
        CHECK_FALSE(co_await none.next());

        stopwatch const watch;
        auto slow = ticks(2ms);
        CHECK(co_await slow.next() == 0);
        CHECK(co_await slow.next() == 1);
        CHECK(watch.ms() == 4);
        auto moved = std::move(slow);
        CHECK(co_await moved.next() == 2);
        CHECK_FALSE(co_await slow.next());
        slow = std::move(moved);
        CHECK(co_await slow.next() == 3);
    };
    run(body(), simulated());
}

async_generator<std::unique_ptr<int>> unique_values() {
    co_yield std::make_unique<int>(1);
    auto named = std::make_unique<int>(2);
    co_yield std::move(named);
}

async_generator<std::string> texts() {
    std::string const kept = "kept";
    co_yield kept;
    CHECK(kept == "kept");
    co_yield "made of a literal";
    co_yield std::string(40, 'x');
}

async_generator<int&> references(std::vector<int>& of) {
    for (int& each : of) {
        co_yield each;
    }
}

async_generator<std::string const&> temporaries() {
    co_yield std::string(40, 'a');
    co_yield std::string(40, 'b');
}

TEST_CASE("values: move-only, copied, converted; references give a pointer to the object itself") {
    auto const body = []() -> task<> {
        auto u = unique_values();
        int sum = 0;
        while (auto item = co_await u.next()) {
            sum += **item;
        }
        CHECK(sum == 3);
        auto t = texts();
        CHECK(co_await t.next() == "kept");
        CHECK(co_await t.next() == "made of a literal");
        CHECK((co_await t.next())->size() == 40);
        std::vector<int> numbers{1, 2, 3};
        auto r = references(numbers);
        while (auto item = co_await r.next()) {
            *item *= 10;
        }
        CHECK(numbers == std::vector<int>{10, 20, 30});
        auto c = temporaries();
        std::string all;
        while (auto item = co_await c.next()) {
            static_assert(std::is_same_v<decltype(item), std::string const*>);
            all += *item;
        }
        CHECK(all == std::string(40, 'a') + std::string(40, 'b'));
    };
    run(body(), simulated());
}

TEST_CASE("what the body throws comes out of next(), once; then the generator has ended") {
    auto const fails = []() -> async_generator<int> {
        co_yield 1;
        throw oops("in the body");
    };
    auto const body = [&]() -> task<> {
        auto gen = fails();
        CHECK(co_await gen.next() == 1);
        CHECK(co_await how(gen.next()) == "in the body");
        CHECK_FALSE(co_await gen.next());
    };
    run(body(), simulated());
}

TEST_CASE("a request is delivered in the body, where it waits; a timeout around next() cuts it off") {
    trace seen;
    auto const patient = [&]() -> async_generator<int> {
        for (int i = 0; i < 3; ++i) {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                seen.push_back("cancelled");
            }
            co_yield i;
        }
    };
    auto const body = [&]() -> task<> {
        auto slow = ticks(10ms);
        CHECK(co_await how(timeout(15ms, slow.next())) == "value");
        CHECK(co_await how(timeout(5ms, slow.next())) == "timeout");
        CHECK_FALSE(co_await slow.next());  // its body was left by task_cancelled

        auto reads = [&]() -> task<int> {
            auto gen = patient();
            auto item = co_await gen.next();
            co_return *item;
        };
        auto h = spawn(reads());
        co_await sleep(1ms);
        h.cancel();
        CHECK(co_await h == 0);  // the body caught it and went on
        CHECK(seen == trace{"cancelled"});

        auto stops = [&]() -> task<> {
            auto gen = ticks(1h);
            (void)co_await gen.next();
        };
        auto k = spawn(stops());
        co_await sleep(1ms);
        k.cancel();
        co_await wait_for(k);
        CHECK(k.cancelled());
    };
    run(body(), simulated());
}

TEST_CASE("RUN-06: destroyed un-started, half-way, at the end, or by main's error: everything is destroyed once") {
    trace seen;
    auto const body = [&]() -> task<> {
        { auto never = with_argument(leaves_trace(seen)); }
        CHECK(seen.size() == 1);
        {
            auto half = with_argument(leaves_trace(seen));
            CHECK(co_await half.next() == 1);
        }
        CHECK(seen.size() == 2);
        {
            auto whole = with_argument(leaves_trace(seen));
            while (co_await whole.next()) {}
            while (co_await whole.next()) {}
        }
        CHECK(seen.size() == 3);
        auto left = with_argument(leaves_trace(seen));
        (void)co_await left.next();
        throw oops("main's");
    };
    CHECK_THROWS_WITH(run(body(), simulated()), "main's");
    CHECK(seen.size() == 4);
}

TEST_CASE("close(): the body awaits while it cleans up; nothing happens to one that has not begun or has ended") {
    trace seen;
    auto const stubborn = []() -> async_generator<int> {
        for (;;) {
            try {
                co_yield 1;
            } catch (generator_closed const&) {}
        }
    };
    auto const body = [&]() -> task<> {
        stopwatch const watch;
        auto gen = tidy(seen);
        (void)co_await gen.next();
        co_await gen.close();
        CHECK(watch.ms() == 5);
        CHECK(seen == trace{"tidied"});
        CHECK_FALSE(co_await gen.next());
        co_await gen.close();
        auto never = tidy(seen);
        co_await never.close();
        CHECK_FALSE(co_await never.next());
        CHECK(seen.size() == 1);

        // As the cleanup of a consumer, shielded from its cancellation.
        auto consumer = [&]() -> task<> {
            auto used = tidy(seen);
            auto use = [&]() -> task<> {
                while (co_await used.next()) {
                    co_await sleep(1h);
                }
            };
            auto close = [&] { return used.close(); };
            co_await with_cleanup(use(), close);
        };
        auto h = spawn(consumer());
        co_await sleep(1ms);
        h.cancel();
        co_await wait_for(h);
        CHECK(h.cancelled());
        CHECK(seen.size() == 2);

        auto again = stubborn();
        (void)co_await again.next();
        bool refused = false;
        try {
            co_await again.close();
        } catch (usage_error const&) {
            refused = true;
        }
        CHECK(refused);
        CHECK_FALSE(co_await again.next());  // it was ended all the same
    };
    run(body(), simulated());
}

TEST_CASE("close() while a next() runs is refused, and the generator does not notice") {
    auto const body = []() -> task<> {
        auto gen = ticks(5ms);
        auto reads = [&]() -> task<int> {
            int values = 0;
            while (values < 3 && co_await gen.next()) {
                ++values;
            }
            co_return values;
        };
        auto h = spawn(reads());
        co_await sleep(1ms);
        CHECK(co_await how(gen.close()) ==
              "next() or close() was called on a generator whose previous next() has not returned: one at a time");
        CHECK(co_await std::move(h) == 3);
        co_await gen.close();
    };
    run(body(), simulated());
}

TEST_CASE("one next() at a time: a second one is refused") {
    auto const body = []() -> task<> {
        auto gen = ticks(5ms);
        auto const o = co_await gather(settled, gen.next(), gen.next());
        CHECK(std::get<0>(o).has_value());
        CHECK_THROWS_AS((void)std::get<1>(o).value(), usage_error);
    };
    run(body(), simulated());
}

TEST_CASE("a million values that are ready at once: no stack grows, and others have their turn") {
    static constexpr int many = 1'000'000;
    auto const body = [](bool fair) -> task<> {
        bool turn = false;
        auto other = [&]() -> task<> {
            turn = true;
            co_return;
        };
        auto h = spawn(other());
        auto gen = count_to(many);
        long sum = 0;
        int before = 0;
        while (auto item = co_await gen.next()) {
            before += turn ? 0 : 1;
            sum += *item;
        }
        CHECK(sum == static_cast<long>(many) * (many + 1) / 2);
        CHECK((before < many / 2) == fair);
        co_await std::move(h);
    };
    run(body(false), simulated());
    run(body(true), threads(1));
}

TEST_CASE("several tasks take turns with one generator, on several workers") {
    auto const yields = []() -> async_generator<int> {
        for (int i = 0; i < 2000; ++i) {
            co_await this_task::yield();
            co_yield i;
        }
    };
    for (unsigned const workers : {2U, 8U}) {
        auto const body = [&]() -> task<> {
            mutex only_one;
            auto gen = yields();
            long sum = 0;
            auto takes = [&]() -> task<> {
                for (;;) {
                    auto const guard = co_await only_one.lock();
                    auto item = co_await gen.next();
                    if (!item) {
                        co_return;
                    }
                    sum += *item;
                }
            };
            co_await gather(takes(), takes(), takes(), takes());
            CHECK(sum == 2000L * 1999 / 2);
        };
        run(body(), threads(workers));
    }
}

}  // namespace
