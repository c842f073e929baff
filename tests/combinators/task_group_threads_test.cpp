// Task groups on several workers: what must hold whoever comes first.

#include <magpie/combinators/task_group.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

task<> hydra(task_group& g, std::atomic<int>& heads, int limit, token held) {
    if (heads.fetch_add(1) == limit) {
        throw oops("cut");
    }
    co_await this_task::yield();
    g.spawn(hydra(g, heads, limit, held));
    g.spawn(hydra(g, heads, limit, held));
}

TEST_CASE("TG-22: the hydra: every new child is either refused or cancelled, never missed") {
    runtime rt(threads(4));
    tally objects;
    for (unsigned i = 0; i < rounds(100); ++i) {
        std::atomic<int> heads{0};
        std::size_t errors = 0;
        auto body = [&]() -> task<> {
            auto block = [&](task_group& g) { g.spawn(hydra(g, heads, 100 + static_cast<int>(i), token(objects))); };
            try {
                co_await with_task_group(block);
            } catch (exception_group const& e) {
                errors = e.size();
            }
        };
        rt.block_on(body());
        CHECK(errors >= 1);
        CHECK(objects.alive == 0);
    }
}

TEST_CASE("TG-04: two children fail at the same time: one abort, both recorded, the count is back") {
    runtime rt(threads(4));
    auto body = [&]() -> task<> {
        for (unsigned i = 0; i < rounds(2000); ++i) {
            std::atomic<int> thrown{0};
            auto fails = [&]() -> task<> {
                thrown.fetch_add(1);
                throw oops("x");
                co_return;
            };
            auto block = [&](task_group& g) -> task<> {
                g.spawn(fails());
                g.spawn(fails());
                g.spawn(nap(1h));
                co_await sleep(1h);
            };
            std::size_t errors = 0;
            try {
                co_await with_task_group(block);
            } catch (exception_group const& e) {
                errors = e.size();
            }
            CHECK(static_cast<int>(errors) == thrown);
            CHECK(this_task::cancelling() == 0);
            co_await this_task::checkpoint();  // TG-35: nothing leaks out
        }
    };
    rt.block_on(body());
}

TEST_CASE("TG-31, TG-35: groups inside groups fail on several workers; requests are taken back exactly") {
    runtime rt(threads(4));
    auto fails = [](int yields) -> task<> {
        for (int i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
        throw oops("x");
    };
    auto body = [&]() -> task<> {
        for (unsigned i = 0; i < rounds(2000); ++i) {
            auto inner = [&](task_group& g) -> task<> {
                g.spawn(fails(static_cast<int>(i % 3)));
                co_await sleep(1h);
            };
            bool reached = false;
            auto outer = [&](task_group& g) -> task<> {
                g.spawn(fails(static_cast<int>(i % 2)));
                try {
                    co_await with_task_group(inner);
                } catch (exception_group const&) {}
                co_await sleep(1h);
                reached = true;
            };
            bool caught = false;
            try {
                co_await with_task_group(outer);
            } catch (exception_group const&) {
                caught = true;
            }
            CHECK(caught);
            CHECK_FALSE(reached);
            CHECK(this_task::cancelling() == 0);
            co_await this_task::checkpoint();
        }
    };
    rt.block_on(body());
}

TEST_CASE("TG-05, TG-36: owner cancelled, group cancelled and children ending, all at once, from foreign threads") {
    tally objects;
    runtime rt(threads(4));
    auto child = [](int yields, token) -> task<> {
        for (int i = 0; i < yields; ++i) {
            co_await this_task::yield();
        }
    };
    for (unsigned i = 0; i < rounds(1500); ++i) {
        std::optional<task_group_ref> reference;
        std::atomic<bool> ready{false};
        auto block = [&](task_group& g) -> task<> {
            reference = g.ref();
            ready.store(true);
            for (int k = 0; k < 8; ++k) {
                g.spawn(child(k, token(objects)));
            }
            co_await this_task::yield();
        };
        auto owner = [&]() -> task<> {
            co_await with_task_group(block);
            CHECK(this_task::cancelling() <= 1);
        };
        auto h = rt.spawn(owner());
        until([&] { return ready.load(); });
        if (i % 3 != 0) {
            reference->cancel();
        }
        if (i % 2 != 0) {
            h.cancel();
        }
        h.blocking_wait();
        CHECK(objects.alive == 0);
        if (!h.cancelled()) {
            CHECK(h.result().error() == nullptr);  // group_aborting in the body is no failure
        } else {
            CHECK(i % 2 != 0);
        }
        CHECK_THROWS_AS(reference->spawn(child(0, token(objects))), usage_error);
        CHECK(objects.alive == 0);
    }
}

TEST_CASE("TG-28: spawning from foreign threads while the block ends: a child that is joined, or a refusal") {
    runtime rt(threads(3));
    std::atomic<int> ran{0};
    auto child = [&](std::atomic<bool>& own) -> task<> {
        ran.fetch_add(1);
        own.store(true);
        co_return;
    };
    for (unsigned i = 0; i < rounds(100); ++i) {
        ran = 0;
        std::atomic<int> accepted{0};
        std::optional<task_group_ref> reference;
        std::atomic<bool> ready{false};
        int const enough = static_cast<int>((i * 17 + 5) % 50);
        auto block = [&](task_group& g) -> task<> {
            reference = g.ref();
            ready.store(true);
            while (accepted.load() < enough) {
                co_await this_task::yield();
            }
        };
        auto h = rt.spawn(with_task_group(block));
        until([&] { return ready.load(); });
        // One child at a time, and not for ever: the group ends when it has none, and those who spawn faster than
        // children end may never let it.
        auto spawner = [&, copy = *reference]() mutable {
            for (int k = 0; k < 10'000; ++k) {
                std::atomic<bool> own{false};
                try {
                    copy.spawn(child(own));
                } catch (usage_error const&) {
                    return;
                }
                accepted.fetch_add(1);
                until([&] { return own.load(); });
            }
        };
        std::thread a(spawner);
        std::thread b(spawner);
        h.blocking_wait();
        int const joined = ran.load();
        a.join();
        b.join();
        CHECK(joined == accepted.load());
        CHECK(ran == joined);
    }
}

TEST_CASE("TG-20, TG-21: very many short children, spawned by children, through one group") {
    runtime rt(threads(4));
    std::atomic<int> ran{0};
    int const each = static_cast<int>(rounds(250'000));
    auto body = [&]() -> task<> {
        auto short_one = [&]() -> task<> {
            ran.fetch_add(1, std::memory_order_relaxed);
            co_return;
        };
        auto spawner = [&](task_group& g) -> task<> {
            for (int i = 0; i < each; ++i) {
                co_await g.spawn_bounded(short_one(), 1000);
            }
        };
        auto block = [&](task_group& g) {
            for (int i = 0; i < 4; ++i) {
                g.spawn(spawner(g));
            }
        };
        co_await with_task_group(block);
    };
    rt.block_on(body());
    CHECK(ran == 4 * each);
}

TEST_CASE("serial: all children run on one worker, also those spawned from elsewhere") {
    runtime rt(threads(4));
    std::atomic<int> inside{0};
    std::atomic<bool> overlapped{false};
    std::atomic<unsigned> home{1000};
    auto child = [&](task_group& g, int depth, auto& self) -> task<> {
        unsigned unset = 1000;
        home.compare_exchange_strong(unset, this_task::worker());
        for (int i = 0; i < 20; ++i) {
            if (inside.fetch_add(1) != 0 || this_task::worker() != home) {
                overlapped = true;
            }
            inside.fetch_sub(1);
            co_await this_task::yield();
        }
        if (depth > 0) {
            g.spawn(self(g, depth - 1, self));
        }
    };
    auto body = [&]() -> task<> {
        auto block = [&](task_group& g) -> task<> {
            for (int i = 0; i < 20; ++i) {
                g.spawn(child(g, 2, child));
                co_await this_task::yield();  // the owner may go on elsewhere
            }
        };
        co_await with_task_group(block, {.serial = true});
    };
    for (unsigned i = 0; i < rounds(50); ++i) {
        home = 1000;
        rt.block_on(body());
        CHECK_FALSE(overlapped);
    }
}

TEST_CASE("results from several spawners: all of them, each once") {
    runtime rt(threads(4));
    auto body = [&]() -> task<> {
        auto spawner = [](task_group_of<int>& g, int from) -> task<int> {
            for (int i = 1; i < 100; ++i) {
                g.spawn(after(0us, from + i));
                if (i % 10 == 0) {
                    co_await this_task::yield();
                }
            }
            co_return from;
        };
        auto block = [&](task_group_of<int>& g) {
            for (int i = 0; i < 8; ++i) {
                g.spawn(spawner(g, i * 100));
            }
        };
        auto v = co_await with_task_group<int>(block);
        std::ranges::sort(v);
        bool right = v.size() == 800;
        for (std::size_t i = 0; right && i < v.size(); ++i) {
            right = v[i] == static_cast<int>(i);
        }
        CHECK(right);
    };
    for (unsigned i = 0; i < rounds(50); ++i) {
        rt.block_on(body());
    }
}

}  // namespace
