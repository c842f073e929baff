#include <magpie/runtime/scheduler/blocking_pool.hpp>

#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace {

using namespace magpie::detail;
using namespace magpie::tests;

class call final : public blocking_call {
public:
    explicit call(std::function<void()> what) : what_(std::move(what)) {}
    void run() noexcept override { what_(); }

private:
    std::function<void()> what_;
};

TEST_CASE("blocking_pool: no thread before the first call; the second call on a free pool makes no second thread") {
    blocking_pool pool(4, "t", [] {});
    CHECK(pool.look().threads == 0);
    std::atomic<int> ran{0};
    call a([&] { ++ran; });
    pool.submit(a);
    until([&] { return ran == 1 && pool.look().busy == 0; });
    call b([&] { ++ran; });
    pool.submit(b);
    until([&] { return ran == 2 && pool.look().busy == 0; });
    CHECK(pool.look().threads == 1);
}

TEST_CASE("blocking_pool: calls that find nobody free get a thread each, up to the bound; the rest wait, first come first served") {
    std::atomic<bool> let_go{false};
    std::atomic<int> inside{0};
    std::atomic<int> after{0};
    std::mutex lock;
    std::vector<int> order;
    std::vector<std::unique_ptr<call>> all;
    blocking_pool pool(2, "t", [&] { ++after; });
    for (int i = 0; i < 2; ++i) {
        all.push_back(std::make_unique<call>([&] {
            ++inside;
            until([&] { return let_go.load(); });
        }));
        pool.submit(*all.back());
    }
    until([&] { return inside == 2; });
    for (int i = 0; i < 5; ++i) {
        all.push_back(std::make_unique<call>([&, i] {
            std::lock_guard const guard(lock);
            order.push_back(i);
        }));
        pool.submit(*all.back());
    }
    CHECK(pool.look().threads == 2);
    CHECK(pool.look().busy == 2);
    CHECK(pool.look().queued == 5);
    let_go = true;
    until([&] { return after == 7; });
    CHECK(order.size() == 5);
    CHECK(pool.look().queued == 0);
}

TEST_CASE("blocking_pool: one thread runs calls in order") {
    std::vector<int> order;
    std::vector<std::unique_ptr<call>> all;
    {
        blocking_pool pool(1, "t", [] {});
        for (int i = 0; i < 200; ++i) {
            all.push_back(std::make_unique<call>([&, i] { order.push_back(i); }));
            pool.submit(*all.back());
        }
    }
    REQUIRE(order.size() == 200);  // the destructor runs what was submitted
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("blocking_pool: a call may free itself") {
    struct suicidal final : blocking_call {
        explicit suicidal(std::atomic<int>& c) : count(c) {}
        void run() noexcept override {
            ++count;
            delete this;
        }
        std::atomic<int>& count;
    };
    std::atomic<int> ran{0};
    {
        blocking_pool pool(3, "t", [] {});
        for (int i = 0; i < 100; ++i) {
            pool.submit(*new suicidal(ran));
        }
    }
    CHECK(ran == 100);
}

}  // namespace
