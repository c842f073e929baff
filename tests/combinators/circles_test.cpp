// Tasks that wait for each other: nobody would ever end. Where it can be seen it is an error; else a cancellation ends it.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr char const* waits_for_it = "a task awaits one that waits for it: neither would ever end";

task<> awaits(join_handle<std::string>& whom) {
    co_await this_task::yield();
    (void)co_await whom;
}

task<> awaits_within(join_handle<std::string>& whom, int depth) {
    if (depth == 0) {
        co_await awaits(whom);
    } else {
        co_await gather(awaits_within(whom, depth - 1), nap(1ms));
    }
}

task<> awaits_shared(shared_handle<std::string>& whom) {
    co_await this_task::yield();
    (void)co_await whom;
}

TEST_CASE("CAN-28: a child of a combinator that awaits the task that waits for it gets usage_error") {
    auto const body = []() -> task<> {
        join_handle<std::string> h;
        h = spawn(how(gather(awaits(h), nap(1h))));
        CHECK(co_await h == waits_for_it);
        h = spawn(how(awaits_within(h, 5)));
        CHECK(co_await h == waits_for_it);
        h = spawn(how(gather(std::views::iota(0, 3) | std::views::transform([&](int) { return awaits(h); }))));
        CHECK(co_await h == waits_for_it);
        auto const in_group = [&](task_group& g) -> task<> {
            g.spawn(awaits(h));
            co_return;
        };
        auto const group = [&]() -> task<std::string> {
            auto const errors = co_await errors_of(with_task_group(in_group));
            co_return errors.size() == 1 ? errors[0] : "not one error";
        };
        h = spawn(group());
        CHECK(ends_with(co_await h, waits_for_it));
        auto const streams = [&]() -> task<std::string> {
            std::vector<task<>> all;
            all.push_back(awaits(h));
            co_return co_await how(as_completed(std::move(all), [](auto& s) -> task<> {
                auto item = co_await s.next();
                item->get();
            }));
        };
        h = spawn(streams());
        CHECK(co_await h == waits_for_it);

        shared_handle<std::string> shared;
        shared = spawn(how(gather(awaits_shared(shared), nap(1h)))).share();
        CHECK(co_await shared == waits_for_it);
    };
    run(body(), simulated());
}

// So many tasks, each of which awaits the next one, directly or in a gather, and the last the first.
class circle {
public:
    circle(std::size_t size, bool gathers) : handles_(size) {
        for (std::size_t i = 0; i < size; ++i) {
            handles_[i] = spawn(one(whole_, handles_[(i + 1) % size], gathers));
        }
        whole_.set();
    }
    join_handle<void>& operator[](std::size_t i) { return handles_[i % handles_.size()]; }
    // How many ended as cancelled, when all have ended; the others awaited one that was cancelled before they did.
    task<std::size_t> all_end() {
        std::size_t cancelled = 0;
        for (auto& each : handles_) {
            co_await wait_for(each);
            if (each.cancelled()) {
                ++cancelled;
            } else {
                CHECK_THROWS_AS(std::rethrow_exception(each.result().error()), child_cancelled);
            }
        }
        co_return cancelled;
    }

private:
    static task<> wait(event& whole, join_handle<void>& whom) {
        co_await whole.wait();
        co_await sleep(1ms);
        co_await whom;
    }
    static task<> one(event& whole, join_handle<void>& whom, bool gathers) {
        if (gathers) {
            co_await gather(wait(whole, whom), nap(1us));
        } else {
            co_await wait(whole, whom);
        }
    }
    event whole_;  // every handle is there
    std::vector<join_handle<void>> handles_;
};

TEST_CASE("CAN-28: tasks that await each other in a circle all end when one is cancelled, whenever that is") {
    auto const body = []() -> task<> {
        for (bool const gathers : {false, true}) {
            for (std::size_t const size : {2U, 3U, 10U}) {
                for (auto const before : {0us, 500us, 2000us}) {
                    CAPTURE(gathers);
                    CAPTURE(size);
                    CAPTURE(before.count());
                    circle all(size, gathers);
                    co_await sleep(before);
                    all[1].cancel();
                    std::size_t const cancelled = co_await all.all_end();
                    CHECK(cancelled == (before > 1ms ? size : 1));
                }
            }
        }
    };
    run(body(), simulated());
}

// Is cancelled, and awaits all the same: the request is passed on at once.
TEST_CASE("CAN-10, CAN-28: a circle that is closed by a task with a request pending ends, each is asked once") {
    auto const body = []() -> task<> {
        join_handle<void> a;
        join_handle<void> b;
        unsigned asked = 0;
        auto const first = [&]() -> task<> {
            try {
                co_await b;
            } catch (task_cancelled const&) {
                asked = this_task::cancelling();
                throw;
            }
        };
        auto const second = [&]() -> task<> {
            co_await this_task::yield();
            this_task::cancel();
            co_await a;
        };
        a = spawn(first());
        b = spawn(second());
        co_await wait_for(a);
        co_await wait_for(b);
        CHECK(a.cancelled());
        CHECK(b.cancelled());
        CHECK(asked == 1);
    };
    run(body(), simulated());
}

TEST_CASE("CAN-28: without a cancellation the simulated clock tells who waits for whom") {
    auto const body = []() -> task<> {
        circle all(2, false);
        co_await all[0];
    };
    CHECK_THROWS_AS(run(body(), simulated()), deadlock_error);
}

TEST_CASE(
    "CAN-28: on several workers: circles are cancelled from several threads, while they form; a shutdown ends them") {
    for (unsigned const workers : {2U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        auto const body = [](unsigned round) -> task<> {
            circle all(2 + round % 4, round % 2 == 0);
            auto const cancels = [&](std::size_t which) -> task<> {
                if (round % 3 != 0) {
                    co_await sleep(std::chrono::microseconds(900 + round % 200));
                }
                all[which].cancel();
            };
            co_await gather(cancels(0), cancels(1), cancels(2));
            std::size_t const cancelled = co_await all.all_end();
            CHECK(cancelled != 0);
        };
        for (unsigned round = 0; round < rounds(300); ++round) {
            rt.block_on(body(round));
        }
        auto const leaves = [](std::shared_ptr<circle>& kept) -> task<> {
            kept = std::make_shared<circle>(4, true);
            co_await sleep(5ms);
        };
        std::shared_ptr<circle> kept;
        rt.block_on(leaves(kept));
        CHECK(static_cast<bool>(rt.shutdown(1min)));
    }
}

}  // namespace
