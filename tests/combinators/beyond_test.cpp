// What people ask for when asyncio has no answer, told as they tell it: rows BEY-* that no single header's test covers.

#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/event.hpp>
#include <magpie/combinators/first_success.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/combinators/queue.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/combinators/semaphore.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/endings.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("BEY-04: a gather that fails leaves no task behind: its siblings are cancelled, and have ended") {
    for (unsigned const workers : {2U, 8U}) {
        std::atomic<int> inside{0};
        std::atomic<int> cancelled{0};
        auto const work = [&](int i) -> task<int> {
            inside.fetch_add(1);
            try {
                if (i == 7) {
                    co_await this_task::yield();
                    throw oops("seven");
                }
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                cancelled.fetch_add(1);
                inside.fetch_sub(1);
                throw;
            } catch (oops const&) {
                inside.fetch_sub(1);
                throw;
            }
            co_return i;
        };
        auto const body = [&]() -> task<> {
            CHECK(co_await how(gather(std::views::iota(0, 20) | std::views::transform(work))) == "seven");
            CHECK(inside == 0);
            CHECK(co_await how(gather(work(7), work(1), work(2))) == "seven");
            CHECK(inside == 0);
        };
        run(body(), threads(workers));
        CHECK(cancelled <= 21);
    }
}

TEST_CASE("BEY-07: a queue is closed, and everybody who iterates over it comes to an end by itself") {
    for (unsigned const workers : {2U, 8U}) {
        constexpr int each = 500;
        queue<int> items(16);
        std::atomic<int> received{0};
        auto const produce = [&]() -> task<> {
            for (int i = 0; i < each; ++i) {
                co_await items.put(i);
            }
        };
        auto const consume = [&]() -> task<> {
            while (auto item = co_await items.next()) {
                received.fetch_add(1);
                items.task_done();
            }
        };
        auto const body = [&]() -> task<> {
            auto consumers = spawn(gather(consume(), consume(), consume()));
            co_await gather(produce(), produce());
            items.close();
            co_await std::move(consumers);
            co_await items.join();
            CHECK(co_await how(items.put(1)) == "the queue is closed");
        };
        run(body(), threads(workers));
        CHECK(received == 2 * each);
    }
}

TEST_CASE("BEY-16: fire and forget: the task does not vanish, and its error is reported, once, when it ends") {
    event_log unhandled;
    config c = simulated();
    c.hooks.on_unhandled = unhandled.listener();
    bool ran = false;
    auto const works = [&]() -> task<> {
        co_await sleep(5ms);
        ran = true;
        throw oops("unseen");
    };
    auto const body = [&]() -> task<> {
        spawn_detached(works(), {.name = "forgotten"});
        { [[maybe_unused]] auto dropped = spawn(nap(3ms)); }
        co_await sleep(4ms);
        CHECK(unhandled.size() == 0);
        co_await sleep(4ms);
        CHECK(ran);
        REQUIRE(unhandled.size() == 1);
        CHECK(unhandled.entries()[0].name == "forgotten");
    };
    run(body(), c);
    CHECK(unhandled.size() == 1);
}

TEST_CASE("BEY-18: a queue and an event between plain threads and the loops of two runtimes") {
    queue<int> there(4);
    queue<int> back(4);
    event stop;
    auto const echo = [&]() -> task<int> {
        int passed = 0;
        while (auto item = co_await there.next()) {
            co_await back.put(*item + 1);
            ++passed;
        }
        co_await stop.wait();
        co_return passed;
    };
    runtime first(threads(2));
    runtime second(threads(2));
    auto a = first.spawn(echo());
    auto b = second.spawn(echo());
    constexpr int total = 400;
    std::thread writer([&] {
        for (int i = 0; i < total; ++i) {
            there.blocking_put(i);
        }
        there.close();
    });
    long sum = 0;
    for (int i = 0; i < total; ++i) {
        sum += back.blocking_get();
    }
    writer.join();
    stop.set();
    a.blocking_wait();
    b.blocking_wait();
    CHECK(a.result().value() + b.result().value() == total);
    CHECK(sum == long{total} * (total + 1) / 2);
}

TEST_CASE("BEY-19: one error of a group comes out as itself; the siblings' cancellations are not in the group") {
    trace seen;
    auto const body = [&]() -> task<> {
        auto group = [&](task_group& g) -> task<> {
            g.spawn(cleans_up(seen, "a", 1h, 1ms));
            g.spawn(fails_after(1ms, "the one"));
            g.spawn(nap(1h));
            co_await sleep(1h);
        };
        std::string what;
        try {
            co_await with_task_group(group);
        } catch (exception_group const& errors) {
            CHECK(errors.size() == 1);
            try {
                errors.rethrow_if_single();
            } catch (oops const& e) {
                what = e.what();
            }
        }
        CHECK(what == "the one");
        CHECK(seen == trace{"a cancelled", "a cleaned"});
        int handled = 0;
        try {
            co_await with_task_group(group);
        } catch (exception_group const& errors) {
            errors.handle<oops>([&](oops const&) { ++handled; }).rethrow_if_any();
        }
        CHECK(handled == 1);
    };
    run(body(), simulated());
}

TEST_CASE("BEY-23: a task whose awaits are always ready does not starve the others of its worker") {
    std::atomic<bool> stop{false};
    auto const other = [&]() -> task<> {
        for (int i = 0; i < 3; ++i) {
            co_await sleep(100us);
        }
        stop = true;
    };
    auto const with = [&](auto greedy) -> task<> {
        stop = false;
        auto h = spawn(other());
        co_await greedy();
        co_await std::move(h);
    };
    auto const body = [&]() -> task<> {
        semaphore places(1);
        co_await with([&]() -> task<> {
            while (!stop) {
                auto const place = co_await places.acquire();
            }
        });
        queue<int> items;
        co_await with([&]() -> task<> {
            while (!stop) {
                co_await items.put(1);
                (void)co_await items.get();
            }
        });
        auto const ready = []() -> task<int> { co_return 1; };
        co_await with([&]() -> task<> {
            auto endless = std::views::iota(0) | std::views::transform([&](int) { return ready(); });
            auto reads = [&](auto& s) -> task<> {
                while (!stop) {
                    (void)co_await s.next();
                }
            };
            co_await as_completed(endless, reads, {.limit = 4});
        });
        co_await with([&]() -> task<> {
            auto reads = [&](auto& s) -> task<> {
                while (!stop) {
                    (void)co_await s.next();
                }
            };
            co_await batch_stream(std::views::iota(0), [&](int) { return ready(); }, reads, {.limit = 4});
        });
    };
    run(body(), threads(1));
    CHECK(stop);
}

TEST_CASE("BEY-27: waiters are cancelled at any moment: no permit, lock, item or wake-up is lost") {
    for (unsigned const workers : {2U, 8U}) {
        runtime rt(threads(workers));
        semaphore places(3);
        mutex lock;
        queue<int> items(2);
        std::atomic<int> put{0};
        std::atomic<int> got{0};
        auto const uses = [&](unsigned i) -> task<> {
            auto const place = co_await places.acquire(1 + i % 2);
            auto const guard = co_await lock.lock();
            co_await this_task::yield();
        };
        auto const gives = [&]() -> task<> {
            co_await items.put(1);
            put.fetch_add(1);
        };
        auto const takes = [&]() -> task<> {
            (void)co_await items.get();
            got.fetch_add(1);
        };
        for (unsigned round = 0; round < rounds(100); ++round) {
            std::vector<join_handle<>> all;
            for (unsigned i = 0; i < 12; ++i) {
                all.push_back(rt.spawn(uses(i)));
                all.push_back(rt.spawn(gives()));
                all.push_back(rt.spawn(takes()));
            }
            for (std::size_t i = 0; i < all.size(); ++i) {
                if ((i + round) % 3 == 0) {
                    all[i].cancel();
                }
            }
            // Who is left has a partner, or gets one here.
            until([&] {
                put.fetch_add(items.try_put(0) ? 1 : 0);
                got.fetch_add(items.try_get() ? 1 : 0);
                return std::ranges::all_of(all, [](auto const& each) { return each.done(); });
            });
        }
        while (items.try_get()) {
            got.fetch_add(1);
        }
        CHECK(put == got);
        CHECK(places.available() == 3);
        CHECK(static_cast<bool>(lock.try_lock()));
    }
}

TEST_CASE("BEY-28: a timeout never swallows a cancellation, however the two meet") {
    runtime rt(threads(4));
    auto const quick = [](unsigned yields) -> task<int> {
        for (unsigned i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        co_return 1;
    };
    auto const body = [&](unsigned i) -> task<> {
        for (unsigned n = 0;; ++n) {  // ends by the cancellation alone
            try {
                (void)co_await timeout(std::chrono::microseconds(n % 3 * 20), quick((i + n) % 4));
            } catch (timeout_error const&) {}
            (void)co_await select(timeout(1h, quick(n % 2)), nap(1h));
            try {
                co_await timeout(50us, with_task_group([&](task_group& g) { g.spawn(quick(n % 3)); }));
            } catch (timeout_error const&) {}
        }
    };
    for (unsigned i = 0; i < rounds(400); ++i) {
        auto h = rt.spawn(body(i));
        some_moments(i % 97);
        h.cancel();
        h.blocking_wait();
        CHECK(h.cancelled());
    }
}

// Who it is, and who waits for it.
struct identity {
    task_id id;
    detail::task_context* parent;
};
task<identity> who() {
    co_return identity{this_task::id(), detail::current_context()->parent};
}

TEST_CASE(
    "GATHER-30, GATHER-33: whatever runs a task makes it one: with an id of its own, and known who waits for it") {
    auto const body = []() -> task<> {
        detail::task_context* const self = detail::current_context();
        std::set<task_id> ids{this_task::id()};
        auto knows = [&](identity const& child) {
            CHECK(child.parent == self);
            CHECK(ids.insert(child.id).second);
        };
        auto const make = [](int) { return who(); };
        auto [a, b] = co_await gather(who(), who());
        knows(a);
        knows(b);
        for (identity const& each : co_await gather(std::views::iota(0, 3) | std::views::transform(make))) {
            knows(each);
        }
        for (identity const& each :
             co_await gather(std::views::iota(0, 3) | std::views::transform(make), {.limit = 2})) {
            knows(each);
        }
        knows(std::get<0>((co_await select(who(), nap(1h))).value));
        knows((co_await first_success(std::views::iota(0, 3) | std::views::transform(make), {.stagger = 1ms})).value);
        auto reads = [&](auto& s) -> task<> {
            while (auto item = co_await s.next()) {
                knows(item->get());
            }
        };
        co_await as_completed(std::views::iota(0, 3) | std::views::transform(make), reads);
        co_await batch_stream(std::views::iota(0, 3), make, reads);
        auto h = spawn(who());
        CHECK(ids.insert((co_await h).id).second);
        CHECK((co_await h).id == h.id());
    };
    run(body(), simulated());
}

}  // namespace
