#include <magpie/runtime/scheduler/idle_set.hpp>
#include <magpie/runtime/scheduler/inject_queue.hpp>

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace {

using namespace magpie::detail;

TEST_CASE("idle_set: at first all run, and there is nobody to wake") {
    idle_set idle(4);
    CHECK(idle.parked() == 0);
    CHECK(idle.searching() == 0);
    CHECK_FALSE(idle.any_parked());
    CHECK(idle.worker_to_wake() == std::nullopt);
    CHECK_FALSE(idle.claim(2));
}

TEST_CASE("idle_set: wakes the worker parked last, one at a time while it searches") {
    idle_set idle(4);
    for (unsigned i : {2U, 0U, 3U}) {
        idle.park(i, false);
    }
    CHECK(idle.any_parked());
    CHECK(idle.worker_to_wake() == 3U);
    CHECK(idle.searching() == 1);
    CHECK(idle.parked() == 2);
    CHECK(idle.worker_to_wake() == std::nullopt);
    CHECK(idle.stop_searching());
    CHECK(idle.worker_to_wake() == 0U);
    CHECK(idle.stop_searching());
    CHECK(idle.worker_to_wake() == 2U);
    CHECK(idle.stop_searching());
    CHECK(idle.worker_to_wake() == std::nullopt);
}

TEST_CASE("idle_set: of several nodes, the near one's worker that was parked last, then those of the next node") {
    std::vector<std::uint16_t> const node_of{0, 1, 2, 0, 1, 2};
    idle_set idle(6, node_of);
    for (unsigned i = 0; i < 6; ++i) {
        idle.park(i, false);
    }
    auto const wake = [&](unsigned near) {
        auto const woken = idle.worker_to_wake(near);
        CHECK(idle.stop_searching());
        return woken;
    };
    CHECK(wake(1) == 4U);
    CHECK(wake(1) == 1U);
    CHECK(wake(1) == 5U);  // nobody is left in node 1
    CHECK(idle.claim(2));
    CHECK(idle.stop_searching());
    CHECK(wake(2) == 3U);  // behind the last node comes the first
    CHECK(wake(7) == 0U);  // there is no such node: as the first
    CHECK(idle.parked() == 0);
    CHECK(idle.worker_to_wake(0) == std::nullopt);
    idle.park(4, false);
    CHECK(idle.unpark_self(4));
    idle.park(5, false);
    CHECK(wake(1) == 5U);
}

TEST_CASE("idle_set: a node that has no worker, and nodes of which only one has any") {
    std::vector<std::uint16_t> const node_of{3, 1};
    idle_set idle(2, node_of);
    idle.park(0, false);
    idle.park(1, false);
    CHECK(idle.worker_to_wake(2) == 0U);
    CHECK(idle.stop_searching());
    CHECK(idle.worker_to_wake(2) == 1U);
    CHECK(idle.stop_searching());
}

TEST_CASE("idle_set: at most half of the workers search, one at least") {
    for (unsigned const workers : {1U, 2U, 3U, 8U, idle_set::max_workers}) {
        idle_set idle(workers);
        unsigned searchers = 0;
        while (searchers <= workers && idle.try_start_searching()) {
            ++searchers;
        }
        CHECK(searchers == (workers + 1) / 2);
        CHECK(idle.searching() == searchers);
        CHECK_FALSE(idle.stop_searching() != (searchers == 1));
        CHECK(idle.try_start_searching());
    }
}

TEST_CASE("idle_set: only the last searcher is told so, when it stops and when it parks") {
    idle_set idle(6);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(idle.try_start_searching());
    }
    CHECK_FALSE(idle.stop_searching());
    CHECK_FALSE(idle.park(0, true));
    CHECK_FALSE(idle.park(1, false));
    CHECK(idle.park(2, true));
    CHECK_FALSE(idle.park(3, false));
    CHECK(idle.searching() == 0);
    CHECK(idle.parked() == 4);
    REQUIRE(idle.try_start_searching());
    CHECK(idle.stop_searching());
}

TEST_CASE("idle_set: unpark_self succeeds unless a waker was faster") {
    idle_set idle(3);
    idle.park(0, false);
    idle.park(1, false);
    CHECK(idle.unpark_self(0));
    CHECK(idle.parked() == 1);
    CHECK(idle.searching() == 0);
    CHECK(idle.worker_to_wake() == 1U);
    CHECK_FALSE(idle.unpark_self(1));
    CHECK(idle.searching() == 1);
    CHECK(idle.parked() == 0);
}

TEST_CASE("idle_set: search_again makes a searcher, woken or not") {
    idle_set idle(3);
    idle.park(0, false);
    idle.search_again(0);
    CHECK(idle.searching() == 1);
    CHECK(idle.parked() == 0);
    idle.park(0, true);
    CHECK(idle.worker_to_wake() == 0U);
    idle.search_again(0);
    CHECK(idle.searching() == 1);
    CHECK(idle.parked() == 0);
}

TEST_CASE("idle_set: claim takes a particular worker, in the middle of the others") {
    idle_set idle(5);
    for (unsigned i = 0; i < 5; ++i) {
        idle.park(i, false);
    }
    CHECK(idle.claim(2));
    CHECK_FALSE(idle.claim(2));
    CHECK(idle.claim(4));
    CHECK(idle.claim(0));
    CHECK(idle.parked() == 2);
    CHECK(idle.searching() == 3);
    CHECK(idle.worker_to_wake() == std::nullopt);
    for (int i = 0; i < 3; ++i) {
        (void)idle.stop_searching();
    }
    CHECK(idle.worker_to_wake() == 3U);
    CHECK(idle.stop_searching());
    CHECK(idle.worker_to_wake() == 1U);
}

TEST_CASE("idle_set: holds as many workers as it promises") {
    idle_set idle(idle_set::max_workers);
    for (unsigned i = 0; i < idle_set::max_workers; ++i) {
        idle.park(i, false);
    }
    CHECK(idle.parked() == idle_set::max_workers);
    for (unsigned i = idle_set::max_workers; i-- > 0;) {
        REQUIRE(idle.worker_to_wake() == i);
        REQUIRE(idle.stop_searching());
    }
    CHECK(idle.parked() == 0);
}

// Workers that do nothing but follow the rules; sleeping is a condition variable. A lost wake-up leaves all of them
// asleep with work in the queue, and the test does not end.
class sleepy_pool {
public:
    struct item {
        item* next = nullptr;
    };

    explicit sleepy_pool(unsigned workers) : idle_(workers) {
        for (unsigned i = 0; i < workers; ++i) {
            beds_.push_back(std::make_unique<bed>());
        }
        for (unsigned i = 0; i < workers; ++i) {
            threads_.emplace_back([this, i] { run(i); });
        }
    }

    void push(item& i) {
        REQUIRE(queue_.push(&i));
        full_fence();
        wake(idle_.worker_to_wake());
    }

    int done() const { return done_.load(mo_acquire); }
    bool all_asleep() const { return idle_.parked() == beds_.size(); }

    void stop() {
        stop_.store(true, mo_relaxed);
        full_fence();
        for (unsigned i = 0; i < beds_.size(); ++i) {
            if (idle_.claim(i)) {
                wake(i);
            }
        }
        threads_.clear();
    }

private:
    struct bed {
        std::mutex mutex;
        std::condition_variable woken;
        bool token = false;
    };

    void wake(std::optional<unsigned> index) {
        if (!index) {
            return;
        }
        bed& b = *beds_[*index];
        std::lock_guard const guard(b.mutex);
        b.token = true;
        b.woken.notify_one();
    }

    void run(unsigned self) {
        bool searching = false;
        while (!stop_.load(mo_relaxed)) {
            if (queue_.pop() != nullptr) {
                if (std::exchange(searching, false) && idle_.stop_searching()) {
                    wake(idle_.worker_to_wake());
                }
                done_.fetch_add(1, mo_acq_rel);
                continue;
            }
            if (!searching && idle_.try_start_searching()) {
                searching = true;
                continue;
            }
            idle_.park(self, searching);
            if (!queue_.empty() || stop_.load(mo_relaxed)) {
                idle_.search_again(self);
                searching = true;
                continue;
            }
            bed& b = *beds_[self];
            std::unique_lock lock(b.mutex);
            b.woken.wait(lock, [&b] { return std::exchange(b.token, false); });
            lock.unlock();
            searching = !idle_.unpark_self(self);
        }
    }

    idle_set idle_;
    inject_queue<item> queue_;
    atomic<int> done_{0};
    atomic<bool> stop_{false};
    std::vector<std::unique_ptr<bed>> beds_;
    std::vector<std::jthread> threads_;
};

TEST_CASE("idle_set: stampede: no wake-up is lost while workers fall asleep again and again") {
    constexpr int rounds = 3'000;
    sleepy_pool pool(4);
    std::vector<sleepy_pool::item> items(2 * rounds);
    std::size_t next = 0;
    int pushed = 0;
    for (int round = 0; round < rounds; ++round) {
        pool.push(items[next++]);
        ++pushed;
        if (round % 3 == 0) {
            pool.push(items[next++]);
            ++pushed;
        }
        // Sometimes to the very bottom, sometimes while they are on their way there.
        while (round % 5 == 0 ? !pool.all_asleep() || pool.done() != pushed : pool.done() + 1 < pushed) {
            yield_thread();
        }
    }
    while (pool.done() != pushed) {
        yield_thread();
    }
    pool.stop();
    CHECK(pool.done() == pushed);
}

}  // namespace
