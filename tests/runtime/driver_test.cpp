// What the scheduler asks of a driver, seen by a driver that notes it.

#include <magpie/runtime/driver.hpp>

#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/topology.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/fake_root.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

struct notes {
    std::atomic<int> polls{0};
    std::atomic<int> parks{0};
    std::atomic<int> unparks{0};
    std::atomic<int> asleep{0};
    std::atomic<std::int64_t> last_deadline{0};
    std::atomic<int> retired{0};
    std::atomic<std::thread::id> parked_by{};
    std::atomic<std::thread::id> retired_by{};
};

class noting_driver final : public driver {
public:
    explicit noting_driver(notes& into) : notes_(into) {}
    void poll() override { ++notes_.polls; }
    void park(time_point deadline) override {
        ++notes_.parks;
        notes_.parked_by = std::this_thread::get_id();
        notes_.last_deadline = deadline.time_since_epoch().count();
        std::unique_lock lock(mutex_);
        auto const woken = [this] { return !asleep_; };
        if (!std::exchange(unparked_, false)) {
            asleep_ = true;
            ++notes_.asleep;
            if (deadline == time_point::max()) {
                woken_.wait(lock, woken);
            } else if (!woken_.wait_until(lock, deadline, woken)) {
                wake();
            }
        }
    }
    void unpark() noexcept override {
        ++notes_.unparks;
        std::lock_guard const lock(mutex_);
        if (asleep_) {
            wake();
        } else {
            unparked_ = true;
        }
    }
    bool has_work() const noexcept override { return false; }
    std::size_t reap() noexcept override { return 0; }
    void retire() noexcept override {
        ++notes_.retired;
        notes_.retired_by = std::this_thread::get_id();
    }
    std::size_t in_flight() const noexcept override { return 0; }
    std::uint64_t completions() const noexcept override { return 0; }
    char const* name() const noexcept override { return "noting"; }

private:
    // Whoever is woken is not asleep from the call on, however late its thread runs: it counts as a searcher already.
    void wake() noexcept {
        asleep_ = false;
        --notes_.asleep;
        woken_.notify_one();
    }

    notes& notes_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool asleep_ = false;
    bool unparked_ = false;  // while it was not asleep
};

// A scheduler over noting drivers, all of whose tasks end before it does.
class rig {
public:
    explicit rig(config c, std::string const& root = "")
        : all(c.workers), shared(
                              std::move(c),
                              [this](config const&, unsigned index) {
                                  return std::make_unique<noting_driver>(all[index]);
                              },
                              root) {}
    ~rig() {
        shared.refuse_spawns();
        shared.cancel_all();
        shared.drain(std::chrono::steady_clock::time_point::max());
    }
    template <class T>
    join_handle<T> spawn(task<T> body, spawn_options options = {}) {
        return detail::spawn_in(shared, std::move(body), options);
    }
    int asleep() const {
        int sum = 0;
        for (auto const& each : all) {
            sum += each.asleep;
        }
        return sum;
    }
    int unparks() const {
        int sum = 0;
        for (auto const& each : all) {
            sum += each.unparks;
        }
        return sum;
    }

    std::vector<notes> all;
    detail::scheduler shared;
};

// Without rescue: whoever looks after a worker that the system keeps from running would be woken for that, and counted.
config quick(unsigned workers) {
    config c = threads(workers);
    c.spin = 0ns;
    c.rescue = false;
    return c;
}

task<> nothing() {
    co_return;
}

TEST_CASE("driver: an idle worker parks once, without a deadline, and stays there") {
    rig r(quick(2));
    until([&] { return r.asleep() == 2; });
    int const parks = r.all[0].parks + r.all[1].parks;
    CHECK(r.all[0].last_deadline == time_point::max().time_since_epoch().count());
    some_moments(1000);
    CHECK(r.all[0].parks + r.all[1].parks == parks);
    CHECK(r.unparks() == 0);
}

TEST_CASE("driver: it is retired once, by the thread that has parked in it, when that ends") {
    std::vector<notes> all(2);
    {
        detail::scheduler shared(
            quick(2), [&](config const&, unsigned index) { return std::make_unique<noting_driver>(all[index]); });
        until([&] { return all[0].asleep + all[1].asleep == 2; });
        CHECK(all[0].retired + all[1].retired == 0);
    }
    for (notes const& each : all) {
        CHECK(each.retired == 1);
        CHECK(each.retired_by.load() == each.parked_by.load());
    }
}

TEST_CASE("driver: a parked worker sleeps until its soonest timer") {
    rig r(quick(1));
    auto h = r.spawn([]() -> task<> { co_await sleep(1h); }());
    until([&] { return r.asleep() == 1 && r.all[0].last_deadline != time_point::max().time_since_epoch().count(); });
    auto const an_hour = r.all[0].last_deadline.load();
    auto g = r.spawn([]() -> task<> { co_await sleep(30min); }());
    until([&] { return r.all[0].last_deadline < an_hour && r.asleep() == 1; });
    g.cancel();
    g.blocking_wait();
    until([&] { return r.all[0].last_deadline == an_hour && r.asleep() == 1; });
    h.cancel();
    h.blocking_wait();
}

TEST_CASE("driver: one spawn from outside wakes one sleeper, once") {
    rig r(quick(4));
    for (int i = 1; i <= 50; ++i) {
        until([&] { return r.asleep() == 4; });
        int const before = r.unparks();
        r.spawn(nothing()).blocking_wait();
        until([&] { return r.asleep() == 4; });
        // The sleeper that was woken may, as the last searcher, wake one more for what it could not see.
        CHECK(r.unparks() - before >= 1);
        CHECK(r.unparks() - before <= 2);
    }
}

TEST_CASE("driver: of workers in two nodes, one of the spawner's node is woken first") {
    auto const cpus = detail::allowed_cpus();
    if (cpus.size() < 2) {
        return;
    }
    fake_root root;
    root.node(0, std::to_string(cpus[0]));
    root.node(1, std::to_string(cpus[1]));
    config c = quick(4);
    c.pin = true;
    rig r(c, root.path());
    auto const nodes = r.shared.nodes_of_workers();
    std::vector<unsigned> const found(nodes.begin(), nodes.end());
    for (unsigned i = 0; i < 4; ++i) {  // worker i is bound to the i-th CPU allowed, over and over
        CHECK(found[i] == (i % cpus.size() == 1 ? 1 : 0));
    }
    auto const unparks_in = [&](unsigned node) {
        int sum = 0;
        for (unsigned i = 0; i < 4; ++i) {
            sum += found[i] == node ? r.all[i].unparks.load() : 0;
        }
        return sum;
    };
    for (unsigned const node : {0U, 1U, 0U, 1U}) {
        std::thread spawner([&] {
            detail::bind_to_cpu(cpus[node]);
            for (int i = 0; i < 10; ++i) {
                until([&] { return r.asleep() == 4; });
                int const before = unparks_in(node);
                r.spawn(nothing()).blocking_wait();
                CHECK(unparks_in(node) > before);
            }
        });
        spawner.join();
    }
}

TEST_CASE("driver: a pinned task wakes its own worker and no other") {
    rig r(quick(4));
    until([&] { return r.asleep() == 4; });
    std::vector<int> before;
    for (auto const& each : r.all) {
        before.push_back(each.unparks);
    }
    auto h = r.spawn([]() -> task<unsigned> { co_return this_task::worker(); }(), {.pinned = true});
    h.blocking_wait();
    unsigned const home = h.result().value();
    for (unsigned i = 0; i < 4; ++i) {
        CHECK(r.all[i].unparks - before[i] == (i == home ? 1 : 0));
    }
}

TEST_CASE("LOOP-14: a busy worker looks at its driver at least once in event_interval resumptions") {
    config c = quick(1);
    c.event_interval = 10;
    rig r(c);
    auto const yields = []() -> task<> {
        for (int i = 0; i < 1000; ++i) {
            co_await this_task::yield();
        }
    };
    int const before = r.all[0].polls;
    r.spawn(yields()).blocking_wait();
    CHECK(r.all[0].polls - before >= 1000 / 10);
}

TEST_CASE("LOOP-14, BEY-23: timers and foreign spawns are seen within event_interval resumptions of busy tasks") {
    config c = quick(1);
    c.event_interval = 10;
    rig r(c);
    std::atomic<bool> spinning{false};
    std::atomic<bool> stop{false};
    auto const spins = [](std::atomic<bool>& begun, std::atomic<bool>& end) -> task<> {
        while (!end) {
            begun = true;
            co_await this_task::yield();
        }
    };
    auto busy = r.spawn(spins(spinning, stop));
    until([&] { return spinning.load(); });
    r.spawn(nothing()).blocking_wait();
    r.spawn([]() -> task<> { co_await sleep(1us); }()).blocking_wait();
    r.spawn(nothing(), {.pinned = true}).blocking_wait();
    stop = true;
    busy.blocking_wait();
}

TEST_CASE("driver: steal = false: nobody is woken for what it may not take") {
    config c = quick(2);
    c.steal = false;
    rig r(c);
    until([&] { return r.asleep() == 2; });
    auto const spawns = []() -> task<> {
        for (int i = 0; i < 100; ++i) {
            spawn_detached(nothing());
        }
        co_await this_task::yield();
    };
    int const before = r.unparks();
    r.spawn(spawns()).blocking_wait();
    CHECK(r.unparks() - before <= 2);
}

}  // namespace
