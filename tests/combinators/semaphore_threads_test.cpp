// semaphore and mutex on several workers: permits are conserved, whoever waits, cancels, resizes and releases.

#include <magpie/combinators/semaphore.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/mutex.hpp>
#include <magpie/runtime/runtime.hpp>
#include <combinators/support/naps.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

// Counts who is inside, and the most there ever were.
struct head_count {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    void enter() {
        int const n = inside.fetch_add(1) + 1;
        int seen = most.load();
        while (n > seen && !most.compare_exchange_weak(seen, n)) {
        }
    }
    void leave() { inside.fetch_sub(1); }
};

TEST_CASE("SEM-16, SEM-17: a thousand calls through a limit of ten: never more than ten inside, results in order") {
    for (unsigned workers : {1U, 2U, 4U, 8U}) {
        head_count count;
        auto const body = [&]() -> task<> {
            semaphore s(10);
            auto const call = [&](int i) -> task<int> {
                auto const p = co_await s.acquire();
                count.enter();
                co_await this_task::yield();
                count.leave();
                co_return i;
            };
            auto const v = co_await gather(std::views::iota(0, 1000) | std::views::transform(call));
            bool in_order = true;
            for (int i = 0; i < 1000; ++i) {
                in_order = in_order && v[static_cast<std::size_t>(i)] == i;
            }
            CHECK(in_order);
            CHECK(s.available() == 10);
        };
        run(body(), threads(workers));
        CHECK(count.most <= 10);
        CHECK(count.most >= 2);
    }
}

// So many heads are inside as long as it lives.
class visit {
public:
    visit(head_count& count, int heads) : count_(count), heads_(heads) {
        for (int i = 0; i < heads_; ++i) {
            count_.enter();
        }
    }
    visit(visit const&) = delete;
    visit& operator=(visit const&) = delete;
    ~visit() {
        for (int i = 0; i < heads_; ++i) {
            count_.leave();
        }
    }

private:
    head_count& count_;
    int heads_;
};

TEST_CASE("LOOP-14: a task that acquires again and again gives way, and not while it holds the permit") {
    auto const body = []() -> task<> {
        semaphore s(1);
        int passed = 0;
        bool held = false;
        int looks = 0;
        auto const passes = [&]() -> task<> {
            for (int i = 0; i < 10'000; ++i) {
                auto const p = co_await s.acquire();
                ++passed;
            }
        };
        auto const looks_on = [&]() -> task<> {
            while (passed < 10'000) {
                held = held || s.available() == 0;
                looks += passed != 0 ? 1 : 0;
                co_await this_task::yield();
            }
        };
        co_await gather(passes(), looks_on());
        CHECK_FALSE(held);
        CHECK(looks > 10);
        CHECK(s.available() == 1);
    };
    run(body(), threads(1));
}

TEST_CASE("LOOP-14: a task that gave way queues up if the permit has gone meanwhile, and can be cancelled there") {
    auto const body = []() -> task<> {
        semaphore s(1);
        int passed = 0;
        bool cancelled = false;
        auto const passes = [&]() -> task<> {
            try {
                for (;;) {
                    auto const p = co_await s.acquire();
                    ++passed;
                }
            } catch (task_cancelled const&) {
                cancelled = true;
                throw;
            }
        };
        auto passing = spawn(passes());
        auto taken = s.try_acquire();
        while (passed == 0 || !taken) {  // it runs between two of these
            taken.release();
            co_await this_task::yield();
            taken = s.try_acquire();
        }
        while (s.waiting() == 0) {
            co_await this_task::yield();
        }
        int const before = passed;
        passing.cancel();
        co_await this_task::yield();
        co_await this_task::yield();
        CHECK(cancelled);
        CHECK(passed == before);
        CHECK(s.waiting() == 0);
        taken.release();
        CHECK(s.available() == 1);
    };
    run(body(), threads(1));
}

TEST_CASE("SEM-02, SEM-04, BEY-27: permits are conserved under acquire, cancel, release and resize at once") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(300); ++round) {
            semaphore s(3);
            head_count count;
            auto const one = [&](int k) -> task<> {
                auto const p = co_await s.acquire(k);
                visit const here(count, k);  // a request may end the task at the yield: it leaves all the same
                co_await this_task::yield();
            };
            std::vector<join_handle<void>> t;
            for (int i = 0; i < 24; ++i) {
                t.push_back(spawn(one(1 + i % 3)));
            }
            auto const cancels = [&](std::size_t from) -> task<> {
                for (std::size_t i = from; i < t.size(); i += 4) {
                    t[i].cancel();
                }
                co_return;
            };
            auto const resizes = [&]() -> task<> {
                s.resize(5);
                co_await this_task::yield();
                s.resize(3);
            };
            auto a = spawn(cancels(0));
            auto b = spawn(cancels(2));
            auto c = spawn(resizes());
            co_await std::move(a);
            co_await std::move(b);
            co_await std::move(c);
            for (auto& each : t) {
                try {
                    co_await each;
                } catch (child_cancelled const&) {
                }
            }
            CHECK(count.most <= 5);
            CHECK(s.available() == 3);
            CHECK(s.waiting() == 0);
        }
    };
    rt.block_on(body());
}

TEST_CASE("SEM-07: of surplus releases at once exactly those that are too many throw") {
    for (unsigned round = 0; round < rounds(200); ++round) {
        bounded_semaphore s(8);
        auto p = s.try_acquire(5);
        p.forget();
        std::atomic<int> refused{0};
        std::vector<std::thread> releasers;
        for (int i = 0; i < 4; ++i) {
            releasers.emplace_back([&] {
                for (int k = 0; k < 3; ++k) {
                    try {
                        s.release();
                    } catch (std::logic_error const&) {
                        refused.fetch_add(1);
                    }
                }
            });
        }
        for (auto& each : releasers) {
            each.join();
        }
        CHECK(refused == 12 - 5);
        CHECK(s.available() == 8);
    }
}

TEST_CASE("SEM-16: a foreign thread releases; nothing is lost when workers are about to sleep") {
    runtime rt(threads(2));
    unsigned const count = rounds(3000);
    semaphore items(0);
    auto const takes = [&]() -> task<> {
        for (unsigned i = 0; i < count; ++i) {
            auto p = co_await items.acquire();
            p.forget();
        }
    };
    auto h = rt.spawn(takes());
    for (unsigned i = 0; i < count; ++i) {
        items.release();
        if (i % 16 == 0) {
            std::this_thread::yield();
        }
    }
    h.blocking_wait();
    CHECK(items.available() == 0);
}

TEST_CASE(
    "LOCK-01, LOCK-05, BEY-27: a plain counter under the mutex, with waiters that are cancelled: never two owners") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned round = 0; round < rounds(100); ++round) {
            magpie::mutex m;
            long plain = 0;
            std::atomic<long> locked{0};
            auto const adds = [&]() -> task<> {
                for (int i = 0; i < 50; ++i) {
                    auto const guard = co_await m.lock();
                    ++plain;
                    locked.fetch_add(1);
                    if (i % 8 == 0) {
                        co_await this_task::yield();
                    }
                }
            };
            std::vector<join_handle<void>> t;
            for (int i = 0; i < 12; ++i) {
                t.push_back(spawn(adds()));
            }
            auto const cancels = [&]() -> task<> {
                for (std::size_t i = 0; i < t.size(); i += 3) {
                    t[i].cancel();
                    co_await this_task::yield();
                }
            };
            auto c = spawn(cancels());
            co_await std::move(c);
            for (auto& each : t) {
                try {
                    co_await each;
                } catch (child_cancelled const&) {
                }
            }
            CHECK(plain == locked);
            CHECK_FALSE(m.locked());
            CHECK(m.waiting() == 0);
        }
    };
    rt.block_on(body());
}

TEST_CASE("a mutex may be destroyed by whoever locked it last") {
    runtime rt(threads(4));
    auto const body = []() -> task<> {
        for (unsigned i = 0; i < rounds(2000); ++i) {
            struct counted {
                magpie::mutex m;
                int left = 4;
            };
            auto* const shared = new counted;
            auto const leaves = [](counted* c) -> task<> {
                auto guard = co_await c->m.lock();
                bool const last = --c->left == 0;
                guard.unlock();
                if (last) {
                    delete c;
                }
            };
            co_await gather(leaves(shared), leaves(shared), leaves(shared), leaves(shared));
        }
    };
    rt.block_on(body());
}

} // namespace
