#include <magpie/runtime/scheduler/outside_wait.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("outside_wait: any number of interrupts count as one, and end a block()") {
    detail::outside_wait wait;
    CHECK_FALSE((wait.done() || wait.happened().load() || wait.take_interrupt()));
    std::thread other([&] {
        wait.interrupt();
        wait.interrupt();
    });
    until([&] {
        wait.block();
        return wait.happened().load();
    });
    other.join();
    CHECK(wait.take_interrupt());
    CHECK_FALSE(wait.take_interrupt());
    CHECK_FALSE(wait.done());
    wait.clear();
    CHECK_FALSE(wait.happened().load());
}

// Told of a task's end under the lock of the task's block, as everybody who waits for it, and behind those who came first.
class late_sleeper final : public detail::watcher {
public:
    explicit late_sleeper(std::atomic<bool> const& wakes_at) : wakes_at_(wakes_at) {}
    void task_ended(detail::spawned_base&) noexcept override {
        until([&] { return wakes_at_.load(); });
        told_ = true;
    }
    bool told() const { return told_; }

private:
    std::atomic<bool> const& wakes_at_;
    std::atomic<bool> told_{false};
};

TEST_CASE("outside_wait: who is woken goes on, whatever keeps the thread that told of the end") {
    runtime rt(threads(1));
    std::atomic<bool> may_end{false};
    std::atomic<bool> woken{false};
    late_sleeper next(woken);
    auto const ends = [](std::atomic<bool> const& when) -> task<> {
        while (!when) {
            co_await this_task::yield();
        }
    };
    auto h = rt.spawn(ends(may_end));
    std::atomic<pid_t> waiting{0};
    std::thread waits([&] {
        waiting = ::gettid();
        h.blocking_wait();
        woken = true;
    });
    until([&] {
        long const call = waiting == 0 ? 0 : system_call_of_thread(waiting);
        return call == SYS_futex || (call < 0 && state_of_thread(waiting) == 'S');
    });
    REQUIRE(h.record().watch(next));
    may_end = true;
    waits.join();
    until([&] { return next.told(); });
}

TEST_CASE("outside_wait: is told of a task's end, or not linked if it has ended") {
    runtime rt(threads(1));
    auto const nothing = []() -> task<> { co_return; };
    for (unsigned r = 0; r < rounds(2000); ++r) {
        detail::outside_wait wait;
        auto h = rt.spawn(nothing());
        if (h.record().watch(wait)) {
            while (!wait.done()) {
                wait.block();
            }
            CHECK_FALSE(h.record().unwatch(wait));
        }
        REQUIRE(h.done());
        CHECK_FALSE(h.record().watch(wait));
    }
}

}  // namespace
