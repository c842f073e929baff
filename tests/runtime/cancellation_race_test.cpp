// Requests against completions, on several threads. Each test repeats a race and asserts what must hold whoever wins.

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

// Threads that do their part of each round at the same moment.
class starting_line {
public:
    explicit starting_line(int runners) : runners_(runners) {}
    void wait() {
        int const round = round_.load();
        if (arrived_.fetch_add(1) + 1 == runners_) {
            arrived_ = 0;
            round_.fetch_add(1);
        } else {
            until([&] { return round_.load() != round; });
        }
    }

private:
    int const runners_;
    std::atomic<int> arrived_{0};
    std::atomic<int> round_{0};
};

struct tally_of_one_wait {
    std::atomic<bool> waiting{false};
    std::atomic<int> deliveries{0};
    std::atomic<unsigned> count{0};
    std::atomic<bool> all_asked{false};
};

task<> counts_deliveries(tally_of_one_wait& t) {
    t.waiting = true;
    try {
        co_await sleep(1h);
    } catch (task_cancelled const&) {
        ++t.deliveries;
    }
    until([&] { return t.all_asked.load(); });
    t.count = this_task::cancelling();
}

TEST_CASE("CAN-13: k threads cancel at once: each is told true, and the task counts k requests") {
    constexpr int k = 4;
    runtime rt(threads(2));
    starting_line line(k + 1);
    join_handle<void> current;
    std::atomic<int> accepted{0};
    unsigned const n = rounds(2000);
    std::vector<std::thread> cancellers;
    for (int i = 0; i < k; ++i) {
        cancellers.emplace_back([&] {
            for (unsigned r = 0; r < n; ++r) {
                line.wait();
                accepted += current.cancel() ? 1 : 0;
                line.wait();
            }
        });
    }
    bool right = true;
    for (unsigned r = 0; r < n; ++r) {
        tally_of_one_wait t;
        accepted = 0;
        current = rt.spawn(counts_deliveries(t));
        until([&] { return t.waiting.load(); });
        line.wait();
        line.wait();
        t.all_asked = true;
        current.blocking_wait();
        right = right && accepted == k && t.count == k && t.deliveries == 1 && !current.cancelled();
    }
    for (auto& each : cancellers) {
        each.join();
    }
    CHECK(right);
}

TEST_CASE("CAN-14: requests made while the task cannot run coalesce into one delivery") {
    runtime rt(threads(1));
    bool right = true;
    for (unsigned r = 0; r < rounds(500); ++r) {
        tally_of_one_wait t;
        std::atomic<bool> blocked{false};
        auto h = rt.spawn([](tally_of_one_wait& into) -> task<> {
            for (int i = 0; i < 2; ++i) {
                into.waiting = true;
                try {
                    co_await sleep(i == 0 ? 1h : 1us);
                } catch (task_cancelled const&) {
                    ++into.deliveries;
                }
            }
        }, std::ref(t));
        until([&] { return t.waiting.load(); });
        auto const blocks = [](std::atomic<bool>& begun, std::atomic<bool>& go_on) -> task<> {
            begun = true;
            until([&] { return go_on.load(); });
            co_return;
        };
        auto blocker = rt.spawn(blocks, std::ref(blocked), std::ref(t.all_asked));
        until([&] { return blocked.load(); });  // it holds the only worker
        for (int i = 0; i < 5; ++i) {
            right = h.cancel() && right;
        }
        t.all_asked = true;
        h.blocking_wait();
        right = right && t.deliveries == 1 && !h.cancelled();
        blocker.blocking_wait();
    }
    CHECK(right);
}

// WF-14: the inner task ends on one thread while the outer one is cancelled from another.
struct wf14 {
    std::atomic<bool> waiting{false};
    std::atomic<bool> go{false};
    std::atomic<bool> had_value{false};
    std::atomic<bool> reached_end{false};
};

task<int> ends_when_told(wf14& w) {
    w.waiting = true;  // before its first step it could be cancelled without a value
    while (!w.go.load()) {
        try {
            co_await this_task::yield();
        } catch (task_cancelled const&) {
        }
    }
    co_return 42;
}

task<> awaits_then_suspends(wf14& w) {
    auto inner = spawn(ends_when_told(w));
    int const v = co_await std::move(inner);
    w.had_value = v == 42;
    co_await this_task::yield();
    w.reached_end = true;
}

TEST_CASE("WF-14: a request between the inner task's end and the outer one's resumption is not lost, nor the value") {
    runtime rt(threads(2));
    int cancelled = 0;
    bool right = true;
    unsigned const n = rounds(3000);
    for (unsigned r = 0; r < n; ++r) {
        wf14 w;
        auto outer = rt.spawn(awaits_then_suspends(w));
        until([&] { return w.waiting.load(); });
        w.go = true;
        for (unsigned spin = 0; spin < r % 64; ++spin) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        bool const accepted = outer.cancel();
        outer.blocking_wait();
        right = right && w.had_value;                                     // the inner one keeps its value (D9)
        right = right && outer.cancelled() == !w.reached_end;             // and the request stops the next suspension
        right = right && (accepted || w.reached_end);                     // refused only after the end
        cancelled += outer.cancelled() ? 1 : 0;
    }
    CHECK(right);
    CHECK(cancelled > 0);
}

TEST_CASE("D9: a timer against a request: a sleep is ended by one of them, and the task runs once") {
    runtime rt(threads(3));
    std::atomic<int> slept{0};
    std::atomic<int> cut{0};
    auto const naps = [](std::atomic<int>& whole, std::atomic<int>& short_) -> task<> {
        try {
            co_await sleep(20us);
            ++whole;
        } catch (task_cancelled const&) {
            ++short_;
            throw;
        }
    };
    unsigned const n = rounds(5000);
    unsigned unstarted = 0;
    bool right = true;
    for (unsigned r = 0; r < n; ++r) {
        int const before = slept + cut;
        auto h = rt.spawn(naps, std::ref(slept), std::ref(cut));
        for (unsigned spin = 0; spin < (r % 256) * 8; ++spin) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        h.cancel();
        h.blocking_wait();
        bool const ran = slept + cut == before + 1;
        unstarted += ran ? 0 : 1;
        right = right && (ran || h.cancelled());
    }
    CHECK(right);
    CHECK(static_cast<unsigned>(slept + cut) + unstarted == n);
    CHECK(rt.snapshot().totals().timers == 0);
}

TEST_CASE("CAN-23: a long sleep is cut short at once, whichever worker it is on and however deep that sleeps") {
    for (unsigned const workers : {1U, 2U, 4U, 8U}) {
        CAPTURE(workers);
        runtime rt(threads(workers));
        std::vector<join_handle<void>> all;
        for (unsigned i = 0; i < 64; ++i) {
            all.push_back(rt.spawn(sleep(5000s), {.pinned = i % 2 == 0}));
        }
        until([&] { return rt.snapshot().totals().timers == 64; });
        for (auto& each : all) {
            CHECK(each.cancel());
        }
        for (auto& each : all) {
            each.blocking_wait();
            CHECK(each.cancelled());
        }
        CHECK(rt.snapshot().totals().timers == 0);
    }
}

TEST_CASE("rt.tasks() against cancel(): no request is lost while the task is looked at") {
    runtime rt(threads(2));
    std::atomic<bool> stop{false};
    std::thread looker([&] {
        while (!stop) {
            (void)rt.tasks();
        }
    });
    for (unsigned r = 0; r < rounds(4000); ++r) {
        auto h = rt.spawn(sleep(5000s));
        until([&] { return rt.snapshot().totals().timers == 1 || h.done(); });
        h.cancel();
        until([&] { return h.done(); });
    }
    stop = true;
    looker.join();
}

task<> chain_end() {
    co_await sleep(1h);
}

task<> chain_link(join_handle<void> next, std::atomic<int>& waiting) {
    ++waiting;
    co_await std::move(next);
}

TEST_CASE("CAN-11: chains cancelled from their root while their leaves end or are cancelled too") {
    runtime rt(threads(3));
    bool right = true;
    for (unsigned r = 0; r < rounds(1000); ++r) {
        constexpr int length = 20;
        std::atomic<int> waiting{0};
        auto h = rt.spawn(chain_end());
        auto const leaf = h.ref();
        for (int i = 0; i < length; ++i) {
            h = rt.spawn(&chain_link, std::move(h), std::ref(waiting));
        }
        until([&] { return waiting == length; });
        std::thread other([&] { leaf.cancel(); });
        h.cancel();
        other.join();
        h.blocking_wait();
        // If the other thread was first, its child_cancelled may have come up the chain before the request came down.
        right = right && leaf.cancelled() && (h.cancelled() || !h.result().has_value());
    }
    CHECK(right);
}

}  // namespace
